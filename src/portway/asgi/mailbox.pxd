cimport cython

from portway.asgi cimport ready
from portway.wire.port cimport Port


@cython.final
cdef class Mailbox(ready.Source):
    cdef Port _port
    cdef Py_ssize_t _stream
    cdef list _pieces
    cdef bint _ended
    cdef bint _told_end
    cdef bint _over
    cdef readonly Py_ssize_t size
    cdef readonly bint told_lost

    cpdef object put(self, bytes data, bint end)
    cpdef object leave(self)
    cpdef object discard(self)
    cpdef bint lost(self) except -1

    @cython.locals(pieces=list, data=bytes)
    cdef object _content(self)
