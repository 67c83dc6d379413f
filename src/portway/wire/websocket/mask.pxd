cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize

cdef bint COMPILED


cdef inline bytes unwritten(Py_ssize_t size):
    """A new object, of which nobody else knows yet: it may be written to."""
    return PyBytes_FromStringAndSize(NULL, size)


cpdef bytes unmask(const unsigned char *data, Py_ssize_t start, Py_ssize_t stop, unsigned int mask)

@cython.locals(shift=int)
cpdef unsigned int turned(unsigned int mask, Py_ssize_t size) except? 1

@cython.locals(made=bytes)
cpdef bytes unmask_by_loop(const unsigned char *data, Py_ssize_t start, Py_ssize_t stop, unsigned int mask)

@cython.locals(
    out="unsigned char *", at=Py_ssize_t, end=Py_ssize_t, whole=Py_ssize_t,
    k0="unsigned char", k1="unsigned char", k2="unsigned char", k3="unsigned char",
)
cpdef object unmask_into(
    bytes made, Py_ssize_t after, const unsigned char *data, Py_ssize_t start, Py_ssize_t stop, unsigned int mask
)

cpdef bytes unmask_by_number(bytes data, Py_ssize_t start, Py_ssize_t stop, unsigned int mask)
