cimport cython

from portway.asgi.task cimport Starter
from portway.asgi.websocket cimport Manner
from portway.link.clock cimport Clock
from portway.link.outbox cimport Outbox
from portway.wire.http1.encode cimport Preamble
from portway.wire.http2.settings cimport Terms
from portway.wire.port cimport Limits


@cython.final
cdef class Deadlines:
    cdef readonly Py_ssize_t idle
    cdef readonly Py_ssize_t head
    cdef readonly Py_ssize_t body
    cdef readonly Py_ssize_t write
    cdef readonly Py_ssize_t linger
    cdef readonly Py_ssize_t ping
    cdef readonly Py_ssize_t pong
    cdef readonly Py_ssize_t close
    cdef readonly Py_ssize_t handshake
    cdef tuple _spans

    cpdef Py_ssize_t of(self, int what) except -1


@cython.final
cdef class Counts:
    cdef public bint draining
    cdef public bint patient
    cdef readonly set links
    cdef readonly set running
    cdef public Py_ssize_t requests
    cdef readonly object on_request
    cdef public object on_last_link

    cpdef object forget(self, object link)


@cython.final
cdef class Shared:
    cdef readonly object app
    cdef readonly object loop
    cdef readonly Clock clock
    cdef readonly Preamble preamble
    cdef readonly Limits limits
    cdef readonly Deadlines deadlines
    cdef readonly object hooks
    cdef readonly Counts counts
    cdef readonly object context
    cdef readonly dict state
    cdef readonly str root_path
    cdef readonly object trust
    cdef readonly Py_ssize_t concurrency
    cdef readonly bint cancel_on_disconnect
    cdef readonly bint composed
    cdef readonly object health
    cdef readonly bytes health_path
    cdef readonly object lobby
    cdef readonly Starter starter
    cdef readonly bint gathers
    cdef readonly bytearray buffer
    cdef readonly object view
    cdef readonly object sealed
    cdef readonly object refusals
    cdef readonly Outbox outbox
    cdef readonly Manner websockets
    cdef readonly Terms terms
    cdef readonly object protocol

    cpdef object begin(self, dict state)
