cimport cython

from portway.wire.http1.encode cimport Preamble


@cython.final
cdef class Clock:
    cdef readonly Py_ssize_t now
    cdef object _loop
    cdef list _preambles
    cdef bint _dated
    cdef str _date
    cdef double _began
    cdef dict _wheel
    cdef object _handle

    cpdef object date(self, Preamble preamble)
    cpdef object put(self, object timed, Py_ssize_t tick)
    cpdef object take(self, object timed, Py_ssize_t tick)
