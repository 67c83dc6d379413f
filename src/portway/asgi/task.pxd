cimport cython

from portway.asgi.http cimport Cycle

cdef bint EAGER
cdef object _Task
cdef object _run


@cython.final
cdef class Starter:
    cdef object _loop
    cdef object _context
    cdef set _running
    cdef bint _plain
    cdef dict _options

    @cython.locals(options=dict)
    cpdef object start(self, object app, dict scope, Cycle cycle)
