cimport cython

from portway.wire.http1 cimport head
from portway.wire.port cimport Limits

cdef int SIZE_LINE
cdef int DATA
cdef int DATA_END
cdef int TRAILERS
cdef int DONE
cdef Py_ssize_t LINE_MOST
cdef Py_ssize_t HEX_DIGITS_MOST
cdef Py_ssize_t FRAMING_FREE
cdef Py_ssize_t FRAMING_MOST
cdef unsigned char NO_DIGIT
cdef bytes _HEX
cdef const unsigned char* HEX


@cython.final
cdef class Chunked:
    cdef Limits limits
    cdef int state
    cdef Py_ssize_t left
    cdef Py_ssize_t total
    cdef Py_ssize_t excess

    @cython.locals(stop=Py_ssize_t, begin=Py_ssize_t)
    cpdef Py_ssize_t feed(self, bytes data, Py_ssize_t at, list content) except -1

    @cython.locals(view="const unsigned char *", i=Py_ssize_t, size=Py_ssize_t)
    cdef Py_ssize_t _size_line(self, bytes data, Py_ssize_t at, Py_ssize_t stop) except -1

    cdef Py_ssize_t _extensions(self, bytes data, Py_ssize_t at) except -2
    cdef object _spend(self, Py_ssize_t line, Py_ssize_t size)

    @cython.locals(end=Py_ssize_t)
    cdef Py_ssize_t _data(self, bytes data, Py_ssize_t at, Py_ssize_t stop, list content) except -1

    cdef Py_ssize_t _data_end(self, bytes data, Py_ssize_t at, Py_ssize_t stop) except -1

    @cython.locals(end=Py_ssize_t)
    cdef Py_ssize_t _trailers(self, bytes data, Py_ssize_t at) except -1
