cimport cython

cdef Py_ssize_t LARGEST
cdef double LONGEST
cdef double SLOW
cdef object _now


@cython.final
cdef class Outbox:
    cdef object _loop
    cdef list _links
    cdef Py_ssize_t _direct
    cdef double _began
    cdef double _last

    @cython.locals(now=double)
    cpdef bint takes(self, object link) except -1

    cdef object _write(self)
