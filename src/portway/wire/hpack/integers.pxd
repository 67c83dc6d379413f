cimport cython

cdef int INDEXED
cdef int ADDED
cdef int RESIZED
cdef int NEVER_INDEXED
cdef int INDEXED_MASK
cdef int ADDED_MASK
cdef int RESIZED_MASK
cdef int LITERAL_MASK
cdef int HUFFMAN
cdef int STRING_MASK
cdef int SHIFT_MOST


@cython.final
cdef class Reader:
    cdef readonly bytes data
    cdef readonly Py_ssize_t at
    cdef readonly Py_ssize_t stop
    cdef bytearray spare

    @cython.locals(view="const unsigned char *", number=Py_ssize_t)
    cpdef Py_ssize_t integer(self, int mask) except -1

    @cython.locals(view="const unsigned char *", number=Py_ssize_t, shift=int, octet=int)
    cdef Py_ssize_t _rest(self) except -1


cpdef object write(bytearray out, int first, int mask, Py_ssize_t number)
