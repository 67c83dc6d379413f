cimport cython

from portway.asgi cimport http
from portway.asgi.http cimport Cycle
from portway.asgi.websocket cimport WebSocket
from portway.link cimport flow, outbox
from portway.link.context cimport Deadlines, Shared
from portway.link.requests cimport Requests
from portway.wire cimport events
from portway.wire.fields cimport Outgoing
from portway.wire cimport waits
from portway.wire.http1.codec cimport Codec

cdef Py_ssize_t HELD_MOST
cdef Py_ssize_t HELD_FEW
cdef Py_ssize_t READ_LEAST
cdef Py_ssize_t COUNTED_LEAST
cdef Py_ssize_t LARGE_READ
cdef Py_ssize_t LOOK
cdef bint COMPILED


@cython.final
cdef class Link(Requests):
    cdef Codec _codec
    cdef Cycle _cycle
    cdef bint _corked
    cdef bint _answered
    cdef bint _later
    cdef Py_ssize_t _held
    cdef Py_ssize_t _heads
    cdef int _waiting
    cdef WebSocket _socket
    cdef WebSocket _tunnel
    cdef object _splice

    @cython.locals(read=bytearray, buffer="const unsigned char *", data=bytes)
    cpdef object buffer_updated(self, Py_ssize_t size)

    @cython.locals(answered=bint, queued=Py_ssize_t)
    cpdef object data_received(self, bytes data)


    @cython.locals(unbegun=Cycle, body=events.Body)
    cdef object _take_in(self, list found)

    @cython.locals(cycle=Cycle, socket=WebSocket)
    cdef Cycle _begin(self, events.Head head)

    @cython.locals(tunnel=WebSocket)
    cdef object _deliver(self, const unsigned char *buffer, Py_ssize_t size)


    cdef bint _sent(self, bint end, bint whole) except -1
    @cython.locals(more=bint)
    cdef object _turn(self, bint whole)

    cdef object _go_on_later(self)
    cdef object _look(self)


    @cython.locals(codec=Codec, tunnel=WebSocket)

    cdef object _part(self)

    @cython.locals(shared=Shared)
    cdef bint _turn_to_http2(self, object preface) except -1

    cdef object _refuse(self, object fault)
    cdef object _cut_off(self)



