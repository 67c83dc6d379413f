cimport cython

cdef bint COMPILED
cdef object _END
cdef Nothing _NOTHING


cdef class Source:
    cdef object _loop
    cdef object _first
    cdef list _futures

    cpdef bint settled(self) except -1
    cpdef object result(self)
    cpdef object watch(self)
    cpdef object wake(self)


@cython.final
cdef class Nothing:
    pass


cpdef list beside(list futures, object future)
cpdef object nothing()
