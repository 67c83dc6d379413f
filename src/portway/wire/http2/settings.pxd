cimport cython

from portway.wire.http2 cimport frames


@cython.final
cdef class Terms:
    cdef readonly Py_ssize_t streams
    cdef readonly Py_ssize_t stream_window
    cdef readonly Py_ssize_t connection_window
    cdef readonly Py_ssize_t frame
    cdef readonly Py_ssize_t resets
    cdef readonly Py_ssize_t glitches
    cdef readonly bint connects

    cpdef list announced(self, Py_ssize_t list_most)
