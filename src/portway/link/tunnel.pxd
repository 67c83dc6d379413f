cimport cython

from portway.asgi cimport websocket
from portway.asgi.websocket cimport WebSocket
from portway.link.context cimport Shared
from portway.link.deadline cimport Deadline
from portway.wire cimport waits


@cython.final
cdef class Tunnel(Deadline):
    cdef Shared _shared
    cdef object _link
    cdef Py_ssize_t _stream
    cdef list _early
    cdef Py_ssize_t _held
    cdef bint _open
    cdef bint _left
    cdef bint _draining
    cdef int _waiting
    cdef public WebSocket socket
    cdef object __weakref__

    @cython.locals(socket=WebSocket)
    cpdef object deliver(self, bytes data, bint end)

    @cython.locals(socket=WebSocket)
    cpdef object leave(self)

    @cython.locals(socket=WebSocket)
    cpdef object gone(self)

    cpdef object drain(self)
    cpdef object writable(self)

    @cython.locals(socket=WebSocket, held=Py_ssize_t)
    cdef object _settle(self)

    cdef object _wait(self, int what)
