cimport cython

from portway.wire cimport fields, methods, scan
from portway.wire.events cimport Head
from portway.wire.port cimport Limits

cdef unsigned char TAB
cdef unsigned char LF
cdef unsigned char CR
cdef unsigned char SP
cdef unsigned char COLON
cdef unsigned char SLASH
cdef unsigned char QUESTION
cdef Py_ssize_t UNFINISHED
cdef Py_ssize_t VERSION_SIZE

cdef Py_ssize_t REMEMBERED_MOST


@cython.final
cdef class Section:
    cdef bytes text
    cdef list pairs
    cdef Py_ssize_t length
    cdef bint end
    cdef bint close
    cdef bint expect
    cdef bint forwarded
    cdef bint te_trailers
    cdef bytes upgrade

    cdef object remember(self, bytes text, Head head)
    cdef object repeat(self, Head head)


@cython.locals(
    view="const unsigned char *", stop=Py_ssize_t, begin=Py_ssize_t, start=Py_ssize_t, end=Py_ssize_t,
    section=Py_ssize_t, old=bint, plain=bint, head=Head,
)
cpdef Head read_head(bytes data, Py_ssize_t at, Py_ssize_t stream, Limits limits, Section last)

@cython.locals(view="const unsigned char *", at=Py_ssize_t)
cdef object read_path(Head head, bytes data, Py_ssize_t start, Py_ssize_t end)

@cython.locals(
    view="const unsigned char *", stop=Py_ssize_t, start=Py_ssize_t, end=Py_ssize_t, count=Py_ssize_t, name=bytes,
)
cpdef Py_ssize_t read_fields(bytes data, Py_ssize_t at, Py_ssize_t begin, Limits limits, list pairs) except -2

cpdef Py_ssize_t unfinished_fields(Py_ssize_t size, Limits limits) except -2
