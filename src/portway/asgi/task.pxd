from portway.asgi.http cimport Cycle

cdef bint EAGER
cdef object _Task
cdef object _run

cpdef object start(object app, dict scope, Cycle cycle, set running, object context, bint plain)
