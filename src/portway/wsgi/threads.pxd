cimport cython

cdef object _monotonic


@cython.final
cdef class Threads:
    cdef readonly Py_ssize_t most
    cdef readonly Py_ssize_t queue
    cdef object _lock
    cdef object _waiting
    cdef readonly list _asleep
    cdef Py_ssize_t _unfinished
    cdef Py_ssize_t _made
    cdef bint _rising
    cdef bint _stopped

    cpdef bint submit(self, object job) except -1
    cpdef bint crowded(self) except -1
    cpdef object freed(self)
    cpdef bint withdraw(self, object job) except -1
    cdef object _raise_one(self)
    @cython.locals(risen=bint)
    cpdef object _work(self)
