cimport cython

from portway.wire cimport events, scan
from portway.wire.events cimport Head


cdef object HOST
cdef object CONTENT_LENGTH
cdef object TRANSFER_ENCODING
cdef object CONNECTION
cdef object EXPECT
cdef object UPGRADE
cdef object TE
cdef frozenset DECIDING
cdef set HOSTS
cdef int HOSTS_KEPT
cdef int HOST_MOST

cdef int PLAIN
cdef int IS_LENGTH
cdef int IS_CODING
cdef int IS_CONNECTION
cdef int IS_HOP
cdef int IS_DATE
cdef int IS_SERVER
cdef dict SPELLINGS
cdef int SPELLINGS_KEPT
cdef Py_ssize_t NO_LENGTH


@cython.locals(hosts=int, lengths=int, coded=bint, pair=tuple, name=bytes, value=bytes)
cpdef object judge(Head head, bint old)

cpdef object check_host(bytes value)
cpdef Py_ssize_t content_length(bytes value) except -1


@cython.final
@cython.no_gc
@cython.freelist(16)
cdef class Outgoing:
    cdef readonly list pairs
    cdef readonly Py_ssize_t length
    cdef public bint close
    cdef readonly bint dated
    cdef readonly bint served

    cpdef object begin(self)
    cpdef object drop_length(self)


@cython.locals(checked=Outgoing, pairs=list, size=Py_ssize_t)
cpdef Outgoing outgoing(object headers)

@cython.locals(length=Py_ssize_t)
cdef object _length(Outgoing checked, bytes name, bytes value)
