cimport cython

cdef bint COMPILED

cpdef bytes unmask(bytes data, Py_ssize_t start, Py_ssize_t stop, unsigned int mask)

@cython.locals(shift=int)
cpdef unsigned int turned(unsigned int mask, Py_ssize_t size) except? 1

@cython.locals(
    view="const unsigned char *", out="unsigned char *", made=bytes, at=Py_ssize_t, size=Py_ssize_t, whole=Py_ssize_t,
    k0="unsigned char", k1="unsigned char", k2="unsigned char", k3="unsigned char",
)
cpdef bytes unmask_by_loop(bytes data, Py_ssize_t start, Py_ssize_t stop, unsigned int mask)

cpdef bytes unmask_by_number(bytes data, Py_ssize_t start, Py_ssize_t stop, unsigned int mask)
