cimport cython

from portway.wire cimport events
from portway.wire.fields cimport Outgoing
from portway.wire.http2 cimport states


@cython.final
@cython.freelist(32)
cdef class Stream:
    cdef readonly Py_ssize_t number
    cdef public int state
    cdef public long long window  # two of its largest do not fit 32 bits
    cdef public Py_ssize_t theirs
    cdef public Py_ssize_t unread
    cdef public Py_ssize_t credit
    cdef public Py_ssize_t came
    cdef public Py_ssize_t left
    cdef list queue
    cdef Py_ssize_t at
    cdef readonly Py_ssize_t queued
    cdef public bint ending
    cdef public Outgoing trailers
    cdef public bint answered
    cdef public bint asked
    cdef public bint mute
    cdef public bint tunnel
    cdef public bint full
    cdef public bint moved
    cdef public bint heard
    cdef public int urgency
    cdef public bint incremental
    cdef public bint scheduled

    cpdef object put(self, bytes data)

    @cython.locals(queue=list, first=bytes, start=Py_ssize_t, stop=Py_ssize_t)
    cpdef bytes pull(self, Py_ssize_t size)

    cpdef object drop(self)


@cython.final
cdef class Schedule:
    cdef list _ready
    cdef readonly Py_ssize_t count

    cpdef object add(self, Stream stream)

    @cython.locals(ready=list)
    cpdef object take_out(self, Stream stream)

    @cython.locals(ready=list)
    cpdef Stream first(self)

    @cython.locals(ready=list)
    cpdef object turned(self, Stream stream)

    cpdef object move(self, Stream stream, int urgency, bint incremental)
