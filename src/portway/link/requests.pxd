cimport cython

from portway.asgi cimport scope
from portway.asgi.http cimport Cycle
from portway.asgi.websocket cimport WebSocket
from portway.link.context cimport Counts, Shared
from portway.link.drain cimport Drain
from portway.wire.events cimport Head
from portway.wire.port cimport Port


cdef class Requests(Drain):
    cdef dict _asked
    cdef dict _scope
    cdef bint _trusted

    cdef object _begin_requests(self, Shared shared)

    @cython.locals(shared=Shared)
    cdef object _meet(self, object transport)

    @cython.locals(shared=Shared, asked=dict, cycle=Cycle)
    cdef Cycle _cycle_of(self, Head head)

    @cython.locals(shared=Shared, counts=Counts)
    cdef object _start(self, Cycle cycle, dict asked)

    @cython.locals(shared=Shared)
    cdef object _open(self, WebSocket socket, dict asked)

    @cython.locals(shared=Shared, kept=Py_ssize_t)
    cdef bint _is_too_much(self) except -1

    cdef object _let_go(self)
    cdef object _lose(self, object cycle)
    cdef object _call_off(self, object cycle)

    @cython.locals(shared=Shared, counts=Counts, head=Head)
    cdef WebSocket _socket_of(self, Cycle cycle, Port port, object agree)
