cdef int CONTINUATION
cdef int TEXT
cdef int BINARY
cdef int CLOSE
cdef int PING
cdef int PONG
cdef int FIN
cdef int RSV1
cdef int RSV2_AND_3
cdef int MASKED
cdef Py_ssize_t CONTROL_MOST
cdef Py_ssize_t SIZE_7
cdef Py_ssize_t SIZE_16
cdef tuple SHORT_TEXT
cdef tuple SHORT_BINARY

cpdef bytes head(int first, Py_ssize_t size)
