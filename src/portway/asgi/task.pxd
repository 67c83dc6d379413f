cimport cython

from portway.asgi.http cimport Cycle
from portway.asgi.websocket cimport WebSocket

cdef object _Task
cdef object _run
cdef object _going_on
cdef object _unavailable


@cython.final
cdef class Errand:
    cdef Starter _starter
    cdef object _context
    cdef object _scope
    cdef Cycle _cycle
    cdef object _later

    @cython.locals(cycle=Cycle)
    cpdef object go_on(self)
    cpdef object become(self)


@cython.final
cdef class Starter:
    cdef object _loop
    cdef object _context
    cdef set _running
    cdef bint _plain
    cdef dict _options
    cdef object _prompt

    cpdef object forget(self, Cycle cycle)
    cpdef object call(self, object app, object scope, Cycle cycle, object context)
    cpdef object start(self, object app, dict scope, Cycle cycle)
    cpdef object open(self, object app, dict scope, WebSocket socket)

    @cython.locals(options=dict)
    cdef object _begin(self, object coroutine, object context)
