cimport cython

from portway.asgi cimport ready

cdef extern from "Python.h":
    void PyErr_SetObject(object kind, object value)

cdef bint COMPILED
cdef object _current_task
cdef object _Future
cdef object _Task
cdef object _Builtin


cdef class Arrivals:
    cdef readonly object loop
    cdef public object task
    cdef object _waiter
    cdef list _waiters
    cdef object _spare
    cdef object _over
    cdef object _callback
    cdef object _run
    cdef bint _delivering
    cdef bint _woken

    cdef object _begin_arrivals(self, object loop)

    @cython.locals(receiving=Receiving)
    cpdef object receive(self)

    cpdef object take(self)
    cpdef object arrival(self)
    cpdef object wake(self)

    @cython.locals(first=object, waiters=list)
    cdef object _delivered(self)

    cdef object _resume(self, object waiter)

    @cython.locals(alone=bint)
    cdef bint _recall(self, object waiter) except -1


@cython.final
cdef class Receiving:
    cdef Arrivals source
