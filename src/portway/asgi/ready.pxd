cimport cython

cdef bint COMPILED
cdef Ready _NOTHING


cdef class Source:
    cdef object _loop
    cdef list _futures

    cpdef bint settled(self) except -1
    cpdef object result(self)
    cpdef object watch(self)
    cpdef object wake(self)


@cython.freelist(8)
cdef class Ready:
    cdef object _value


@cython.freelist(8)
cdef class Waiting:
    cdef Source _source
    cdef object _future


cpdef object nothing()
cpdef object ready(object value)
cpdef object waiting(Source source)
