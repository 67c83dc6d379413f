from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.string cimport memcpy

cdef int CONTINUATION
cdef int TEXT
cdef int BINARY
cdef int CLOSE
cdef int PING
cdef int PONG
cdef int FIN
cdef int RSV1
cdef int RSV2_AND_3
cdef int MASKED
cdef Py_ssize_t CONTROL_MOST
cdef Py_ssize_t SIZE_7
cdef Py_ssize_t SIZE_16
cdef tuple SHORT_TEXT
cdef tuple SHORT_BINARY

cdef bint COMPILED


cdef inline bytes joined(bytes one, bytes two):
    """one + two, which Python makes of them for 250 instructions more."""
    cdef Py_ssize_t middle = len(one)
    cdef bytes made = PyBytes_FromStringAndSize(NULL, middle + len(two))
    memcpy(PyBytes_AS_STRING(made), PyBytes_AS_STRING(one), middle)
    memcpy(PyBytes_AS_STRING(made) + middle, PyBytes_AS_STRING(two), len(two))
    return made


cpdef bytes head(int first, Py_ssize_t size)
cpdef bytes frame(int first, bytes payload)
