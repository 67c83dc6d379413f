cimport cython


@cython.final
cdef class Budget:
    cdef Py_ssize_t _left
    cdef Py_ssize_t _most
    cdef str _what

    cpdef object spend(self, Py_ssize_t count)
    cpdef object refill(self, Py_ssize_t seconds)
