cimport cython

from portway.link.context cimport Counts, Shared
from portway.link.flow cimport Flow


cdef class Drain(Flow):
    cdef bint _draining
    cdef Py_ssize_t _since

    cdef object _begin_drain(self, Shared shared)
    cdef Py_ssize_t _patience(self, bint fresh) except -1

    cdef bint _arrived(self) except -1

    @cython.locals(patience=Py_ssize_t)
    cdef bint _stays(self, bint fresh) except -1
