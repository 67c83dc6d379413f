cimport cython

from portway.wire cimport scan

cdef Py_ssize_t OVERHEAD
cdef dict NAMES
cdef tuple STATIC
cdef Py_ssize_t STATIC_SIZE

@cython.locals(name=bytes, value=bytes)
cpdef Py_ssize_t size_of(tuple pair) except -1


@cython.final
cdef class DecoderTable:
    cdef list _entries
    cdef readonly Py_ssize_t changes
    cdef readonly Py_ssize_t size
    cdef readonly Py_ssize_t most

    cpdef list entries(self)

    @cython.locals(place=Py_ssize_t)
    cpdef tuple pair(self, Py_ssize_t index)

    @cython.locals(size=Py_ssize_t)
    cpdef object add(self, tuple pair)

    cpdef object resize(self, Py_ssize_t most)

    @cython.locals(gone=Py_ssize_t)
    cdef object _shrink(self, Py_ssize_t most)


@cython.final
cdef class EncoderTable:
    cdef dict _numbers
    cdef Py_ssize_t _added
    cdef readonly Py_ssize_t size
    cdef readonly Py_ssize_t most

    cpdef list entries(self)
    cpdef Py_ssize_t index(self, tuple pair) except -1

    @cython.locals(size=Py_ssize_t)
    cpdef object add(self, tuple pair)

    cpdef object resize(self, Py_ssize_t most)

    @cython.locals(oldest=tuple)
    cdef object _shrink(self, Py_ssize_t most)
