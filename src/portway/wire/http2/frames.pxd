cimport cython

cdef int HEAD_SIZE
cdef bytes BLANK
cdef Py_ssize_t PAYLOAD_LEAST
cdef Py_ssize_t PAYLOAD_MOST
cdef Py_ssize_t STREAM_MASK
cdef Py_ssize_t WINDOW_MOST
cdef Py_ssize_t WINDOW_BEFORE

cdef int DATA
cdef int HEADERS
cdef int PRIORITY
cdef int RST_STREAM
cdef int SETTINGS
cdef int PUSH_PROMISE
cdef int PING
cdef int GOAWAY
cdef int WINDOW_UPDATE
cdef int CONTINUATION
cdef int PRIORITY_UPDATE

cdef int ACK
cdef int END_STREAM
cdef int END_HEADERS
cdef int PADDED
cdef int WITH_PRIORITY

cdef int PRIORITY_SIZE
cdef int NUMBER_SIZE
cdef int PING_SIZE
cdef int SETTING_SIZE
cdef int GOAWAY_LEAST

@cython.locals(high="long long")
cpdef long long number(const unsigned char *view, Py_ssize_t at) except -1

@cython.locals(at=Py_ssize_t)
cpdef object write_head(bytearray out, Py_ssize_t size, int kind, int flags, Py_ssize_t stream)
cpdef object write_number(bytearray out, Py_ssize_t value)
cpdef object write_size(bytearray out, Py_ssize_t at, Py_ssize_t size)
cpdef object write_reset(bytearray out, Py_ssize_t stream, Py_ssize_t code)
cpdef object write_window(bytearray out, Py_ssize_t stream, Py_ssize_t size)
cpdef object write_ping(bytearray out, int flags, bytes payload)
cpdef object write_goaway(bytearray out, Py_ssize_t last, Py_ssize_t code, bytes text)
cpdef object write_settings(bytearray out, list settings)
cpdef object write_ack(bytearray out)
