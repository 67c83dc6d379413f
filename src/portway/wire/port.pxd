cimport cython

from portway.wire.fields cimport Outgoing


@cython.final
cdef class Limits:
    cdef readonly Py_ssize_t line
    cdef readonly Py_ssize_t head
    cdef readonly Py_ssize_t fields
    cdef readonly Py_ssize_t body


cdef class Port:
    cpdef bint respond(self, Py_ssize_t stream, int status, Outgoing fields, bytes body, bint end) except -1
    cpdef object inform(self, Py_ssize_t stream, int status, Outgoing fields)
    cpdef bint body(self, Py_ssize_t stream, bytes data, bint end) except -1
    cpdef object splice(self, Py_ssize_t stream, int descriptor, object offset, object size)
    cpdef object trailers(self, Py_ssize_t stream, Outgoing fields)
    cpdef object reset(self, Py_ssize_t stream)
    cpdef bytes tunnel(self, Py_ssize_t stream, Outgoing fields)
    cpdef bint pour(self, Py_ssize_t stream, list parts, bint end) except -1
    cpdef object credit(self, Py_ssize_t stream, Py_ssize_t size)
