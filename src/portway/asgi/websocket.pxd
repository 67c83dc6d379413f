cimport cython

from portway.asgi cimport ready
from portway.asgi.arrivals cimport Arrivals
from portway.asgi.http cimport Cycle, Room
from portway.wire.events cimport Head
from portway.wire cimport waits
from portway.wire.port cimport Port
from portway.wire.websocket.codec cimport Closed, Codec

cdef int CONNECTING
cdef int OPEN
cdef int CLOSING
cdef int CLOSED
cdef int DENIED
cdef object _running_loop
cdef list _NOTHING
cdef bytes _NO_BYTES
cdef str _SEND
cdef str _ACCEPT
cdef str _CLOSE
cdef str _DENY
cdef Py_ssize_t HELD_MOST
cdef Py_ssize_t GATHERED_MOST
cdef Py_ssize_t REFILLS_MOST
cdef Py_ssize_t ALL


@cython.final
cdef class Manner:
    cdef readonly Py_ssize_t max_size
    cdef readonly Py_ssize_t max_queue
    cdef readonly bint deflates
    cdef readonly frozenset origins


@cython.final
cdef class WebSocket(Arrivals):
    cdef readonly Head head
    cdef readonly object client
    cdef public bint ended
    cdef readonly int state
    cdef readonly int code
    cdef readonly str reason
    cdef readonly object subprotocol
    cdef readonly object fault
    cdef readonly Py_ssize_t messages_in
    cdef readonly Py_ssize_t messages_out
    cdef readonly Py_ssize_t bytes_out
    cdef Cycle _cycle
    cdef object _handshake
    cdef Codec _codec
    cdef Port _port
    cdef object _hooks
    cdef list _queue
    cdef Py_ssize_t _next
    cdef Py_ssize_t _queue_most
    cdef Py_ssize_t _waiting_bytes
    cdef Py_ssize_t _refills
    cdef bint _flushing
    cdef bint _left
    cdef bint _told
    cdef bint _told_lost
    cdef bint _pinged
    cdef object __weakref__
    cdef Room _room
    cdef double _started

    cpdef object deliver(self, const unsigned char *buffer, Py_ssize_t size)
    cpdef bint crowded(self) except -1
    cpdef bint behind(self) except -1
    cpdef int waiting(self) except -1
    cpdef object ping(self)
    cpdef object leave(self)
    cpdef object gone(self)
    cpdef object writable(self)
    cpdef object close(self, int code, str reason)
    cpdef object send(self, object message)
    cpdef bint fail(self, int status, str text) except -1
    cpdef object abort(self)
    cpdef object returned(self)

    @cython.locals(queued=Py_ssize_t)
    cdef bint _may_read(self) except -1

    @cython.locals(codec=Codec, room=Py_ssize_t, before=Py_ssize_t, found=list)
    cdef object _absorb(self, const unsigned char *buffer, Py_ssize_t size)

    cdef object _arrived(self, list found, Py_ssize_t size)

    @cython.locals(queue=list)
    cdef object _take_message(self)

    cdef object _refill(self)
    cpdef object _read_on(self)
    cdef object _end(self, int state)
    cdef object _heed(self, dict message)
    cdef object _send(self, dict message)
    cpdef object _flush_late(self)
    cdef bint _flush(self) except -1
    cdef object _send_rare(self, object kind, dict message)
    cdef object _deny(self, str kind, object message)
    cdef object _accept(self, object message)
