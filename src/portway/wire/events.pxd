cimport cython

cdef Py_ssize_t UNKNOWN


@cython.final
cdef class Head:
    cdef readonly Py_ssize_t stream
    cdef public Py_ssize_t after
    cdef public bint end
    cdef public str method
    cdef public bytes path
    cdef public bytes query
    cdef public str version
    cdef public list headers
    cdef public Py_ssize_t length
    cdef public bint close
    cdef public bint expect
    cdef public bint forwarded
    cdef public bint te_trailers
    cdef public bytes upgrade
    cdef public bytes priority

    cpdef object begin(self, Py_ssize_t stream)
    cpdef object repeat(self, Head other)


@cython.final
cdef class Body:
    cdef readonly Py_ssize_t stream
    cdef readonly bytes data
    cdef readonly bint end


@cython.final
cdef class Reset:
    cdef readonly Py_ssize_t stream
    cdef readonly str reason
    cdef readonly bint end


@cython.final
cdef class Refusal:
    cdef readonly Py_ssize_t stream
    cdef readonly object fault
    cdef readonly bint answered
    cdef readonly bint end
