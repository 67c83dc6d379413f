cdef int FOR_REQUEST
cdef int FOR_HEAD
cdef int FOR_BODY
cdef int FOR_US
cdef int FOR_END
cdef int FOR_PING
cdef int FOR_PONG
cdef int FOR_CLOSE
