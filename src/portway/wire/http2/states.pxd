cimport cython

cdef int IDLE
cdef int OPEN
cdef int REMOTE
cdef int LOCAL
cdef int ENDED
cdef int LEFT
cdef int DROPPED
cdef int SKIPPED
cdef int OLD
cdef int FINE
cdef int IGNORED
cdef int STREAM_IS_CLOSED
cdef int ALL_IS_CLOSED
cdef int ALL_IS_WRONG
cdef int COLUMNS
cdef int WINDOW_COLUMN
cdef bytes VERDICTS
cdef int REMEMBERED

@cython.locals(view="const unsigned char *")
cpdef int verdict(int state, int column) except -1


@cython.final
cdef class Fates:
    cdef readonly Py_ssize_t last
    cdef bytearray _fates

    @cython.locals(skipped=Py_ssize_t)
    cpdef object opened(self, Py_ssize_t stream)

    cpdef object closed(self, Py_ssize_t stream, int state)
    cpdef int of(self, Py_ssize_t stream) except -1
