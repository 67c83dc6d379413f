cdef int HEAD
cdef int BODY
cdef int CHUNKS
cdef int FINISHED
cdef int CLOSED
cdef int IDLE
cdef int OWED
cdef int SENDING
cdef int SENT

cdef int FOR_REQUEST
cdef int FOR_HEAD
cdef int FOR_BODY
cdef int FOR_US
cdef int FOR_END
