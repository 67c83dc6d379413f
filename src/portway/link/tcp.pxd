cimport cython

from portway.asgi cimport http, scope
from portway.asgi.http cimport Cycle
from portway.link cimport outbox
from portway.link.clock cimport Clock
from portway.link.context cimport Counts, Deadlines, Shared
from portway.wire cimport events
from portway.wire.fields cimport Outgoing
from portway.wire.http1 cimport states
from portway.wire.http1.codec cimport Codec
from portway.wire.port cimport Port

cdef Py_ssize_t HELD_MOST
cdef Py_ssize_t HELD_FEW
cdef Py_ssize_t READ_LEAST
cdef Py_ssize_t JOIN_MOST
cdef bint COMPILED


@cython.final
cdef class Link(Port):
    cdef Shared _shared
    cdef Codec _codec
    cdef Cycle _cycle
    cdef object _transport
    cdef object _write
    cdef dict _scope
    cdef bint _trusted
    cdef bint _corked
    cdef bint _answered
    cdef bint _full
    cdef bint _paused
    cdef bint _left
    cdef bint _lingering
    cdef bint _draining
    cdef Py_ssize_t _held
    cdef Py_ssize_t _heads
    cdef int _waiting
    cdef Py_ssize_t _deadline
    cdef Py_ssize_t _slot
    cdef Py_ssize_t _unwritten
    cdef readonly object peer
    cdef object __weakref__

    @cython.locals(read=bytearray, buffer="const unsigned char *", data=bytes)
    cpdef object buffer_updated(self, Py_ssize_t size)

    @cython.locals(answered=bint, queued=Py_ssize_t)
    cpdef object data_received(self, bytes data)

    cpdef object write_out(self)

    @cython.locals(head=events.Head, body=events.Body)
    cdef object _take_in(self, list found)

    @cython.locals(shared=Shared, counts=Counts, cycle=Cycle, scope_=dict)
    cdef object _begin(self, events.Head head)

    cdef bint _sent(self, bint end, bint whole) except -1
    @cython.locals(more=bint)
    cdef object _turn(self, bint whole)


    @cython.locals(parts=list, size=Py_ssize_t, part=bytes)
    cdef object _flush(self)

    @cython.locals(codec=Codec)
    cdef object _settle(self)

    cdef object _pause(self)
    cdef object _resume(self)
    cdef object _close(self)
    cdef object _refuse(self, object fault)
    cdef object _cut_off(self)

    @cython.locals(deadlines=Deadlines)
    cdef object _wait(self, int what)

    @cython.locals(clock=Clock, deadline=Py_ssize_t, slot=Py_ssize_t)
    cdef object _arm(self, Py_ssize_t span)

    cdef object _expire(self)
    cdef object _abort_or_close(self, Py_ssize_t unwritten)
    cdef object _give_up(self, str why)
