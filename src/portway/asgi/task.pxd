cimport cython

from portway.asgi.http cimport Cycle
from portway.asgi.websocket cimport WebSocket

cdef bint EAGER
cdef object _Task
cdef object _run
cdef object _going_on
cdef object _unavailable


@cython.final
cdef class Starter:
    cdef object _loop
    cdef object _context
    cdef set _running
    cdef bint _plain
    cdef dict _options
    cdef object _prompt

    cpdef object start(self, object app, dict scope, Cycle cycle)
    cpdef object open(self, object app, dict scope, WebSocket socket)

    @cython.locals(options=dict)
    cdef object _begin(self, object coroutine, object context)
