cimport cython

from portway.wire cimport fields
from portway.wire.fields cimport Outgoing

cdef int NOTHING
cdef int LENGTH
cdef int CHUNKED
cdef int CLOSE
cdef bytes CRLF
cdef bytes END
cdef dict LINE_BEGINS
cdef int LINE_BEGINS_KEPT
cdef bytes LAST_CHUNK
cdef dict PHRASES


@cython.final
cdef class Preamble:
    cdef bytes _server
    cdef bytes _extra
    cdef bytes _date
    cdef dict _known
    cdef readonly list pairs

    cpdef object renew(self, bytes date)
    cpdef bytes lines(self, int status)
    cpdef bytes lines_beside(self, int status, Outgoing headers)
    cpdef list pairs_beside(self, Outgoing headers)


cpdef bytes status_line(int status)
cpdef bint bodiless(int status, str method) except -1
cpdef int framing(Outgoing headers, bint old, bint end) except -1

@cython.locals(pair=tuple, begin=bytes)
cpdef object write_fields(list out, Outgoing headers)

cpdef object write_chunk(list out, bytes data)
