cimport cython

from portway.link.context cimport Deadlines, Shared
from portway.link.deadline cimport Deadline
from portway.wire cimport waits

cdef Py_ssize_t JOIN_MOST


cdef class Flow(Deadline):
    cdef Shared _shared
    cdef object _transport
    cdef object _write
    cdef bint _full
    cdef bint _paused
    cdef bint _left
    cdef bint _lingering
    cdef Py_ssize_t _poured
    cdef Py_ssize_t _unwritten
    cdef readonly object peer
    cdef object __weakref__

    cdef object _begin_flow(self, Shared shared)
    cdef list _queued(self)
    cdef int _awaited(self) except -1
    cdef object _wait(self, int what)
    cdef object _settle(self)
    cpdef object pause_writing(self)
    cdef Py_ssize_t _unsent(self) except -1
    cpdef object write_out(self)

    @cython.locals(parts=list)
    cdef object _flush(self)

    cdef bint _roomy(self) except -1

    cdef bint _half_left(self) except -1
    cdef object _pause(self)
    cdef object _resume(self)
    cdef object _close(self, bint heard)
    cdef object _abort_or_close(self, Py_ssize_t unwritten)
    cdef object _give_up(self, str why)
    cpdef object sever(self)


@cython.locals(size=Py_ssize_t, part=bytes)
cdef Py_ssize_t weigh(list parts) except -1
