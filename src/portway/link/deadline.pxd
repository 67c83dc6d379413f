cimport cython

from portway.link.clock cimport Clock
from portway.wire.port cimport Port


cdef class Deadline(Port):
    cdef Clock _clock
    cdef Py_ssize_t _deadline
    cdef Py_ssize_t _slot

    cdef object _begin_time(self, Clock clock)

    @cython.locals(clock=Clock, deadline=Py_ssize_t, slot=Py_ssize_t)
    cdef object _arm(self, Py_ssize_t span)

    cdef object _end_time(self)
    cpdef Py_ssize_t visit(self, Py_ssize_t now) except -1
    cdef object _expire(self)
