cimport cython

from portway.asgi.http cimport Cycle
from portway.asgi.websocket cimport WebSocket
from portway.link cimport flow, outbox
from portway.link.context cimport Deadlines, Shared
from portway.link.requests cimport Requests
from portway.link.tunnel cimport Tunnel
from portway.wire cimport events, waits
from portway.wire.fields cimport Outgoing
from portway.wire.http2.codec cimport Codec

cdef object _now
cdef Py_ssize_t BACKLOG_MOST
cdef Py_ssize_t ROOM


@cython.final
cdef class Http2Link(Requests):
    cdef Codec _codec
    cdef dict _cycles
    cdef dict _tunnels
    cdef bint _corked
    cdef bint _late
    cdef double _late_since
    cdef Py_ssize_t _kept
    cdef bint _reading_on
    cdef list _held_up
    cdef Py_ssize_t _stall_at
    cdef Py_ssize_t _silence_at
    cdef Py_ssize_t _refilled
    cdef list _unbegun
    cdef int _waiting

    @cython.locals(kept=Py_ssize_t)
    cpdef object get_buffer(self, object hint)

    cpdef object buffer_updated(self, Py_ssize_t size)
    cpdef object data_received(self, bytes data)

    @cython.locals(codec=Codec, seconds=Py_ssize_t)
    cdef object _take_in(self, bytes data, Py_ssize_t size)

    @cython.locals(cycle=Cycle, tunnel=Tunnel)
    cdef object _heed(self, object event)

    @cython.locals(cycle=Cycle, tunnel=Tunnel)
    cdef object _deliver(self, events.Body body)

    @cython.locals(cycle=Cycle, tunnel=Tunnel, socket=WebSocket)
    cdef object _begin(self, events.Head head)

    @cython.locals(unbegun=list, cycle=Cycle)
    cdef object _begin_all(self)

    cpdef object open_tunnel(self, Py_ssize_t stream, Outgoing headers)

    @cython.locals(tunnel=Tunnel, cycle=Cycle)
    cpdef object give_up(self, Py_ssize_t stream, str why)

    cdef bint _sent(self, Py_ssize_t stream, Py_ssize_t size, bint end) except -1
    cdef bint _room(self, Py_ssize_t stream) except -1

    @cython.locals(tunnel=Tunnel, cycle=Cycle)
    cdef object _let_on(self, Py_ssize_t stream)

    cdef object _gather(self)

    @cython.locals(codec=Codec)
    cdef object _write_all(self)

    cpdef object _read_on(self)
    cdef object _refuse(self, object fault)

    @cython.locals(tunnel=Tunnel, cycle=Cycle)
    cdef object _end_all(self)

    cdef object _sweep(self)

    @cython.locals(cycle=Cycle)
    cdef object _hush(self, Py_ssize_t number)


cdef Py_ssize_t renewed(Py_ssize_t at, Py_ssize_t now, Py_ssize_t span) except -1
cdef Py_ssize_t sooner(Py_ssize_t one, Py_ssize_t other) except -1
