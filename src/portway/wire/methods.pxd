cdef dict NAMED
cdef Py_ssize_t SIZE_MOST
