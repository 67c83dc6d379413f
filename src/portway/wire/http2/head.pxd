cimport cython

from portway.wire cimport events, fields, methods, scan
from portway.wire.events cimport Head
from portway.wire.port cimport Limits

cdef int COLON
cdef int SP
cdef int TAB
cdef int SLASH
cdef int QUESTION
cdef bytes METHOD
cdef bytes SCHEME
cdef bytes AUTHORITY
cdef bytes PATH
cdef bytes PROTOCOL
cdef bytes COOKIE
cdef bytes PRIORITY
cdef set NAMES
cdef int NAMES_KEPT
cdef int NAME_MOST

@cython.locals(
    method=bytes, scheme=bytes, authority=bytes, path=bytes, protocol=bytes, headers=list, cookie=Py_ssize_t,
    crumbs=list, pair=tuple, name=bytes, value=bytes,
)
cpdef object read(Head head, list pairs, bint end, Limits limits, bint connects)

@cython.locals(view="const unsigned char *", size=Py_ssize_t)
cpdef object check(bytes name, bytes value)

@cython.locals(pair=tuple, name=bytes)
cpdef object check_trailers(list pairs)

@cython.locals(host=bytes, lengths=int, pair=tuple, name=bytes, value=bytes)
cpdef object judge(Head head, bytes authority, bint end)

cdef object place_host(Head head, bytes authority, bytes host)
cdef object check_scheme(bytes scheme)

@cython.locals(size=Py_ssize_t, at=Py_ssize_t)
cdef object read_path(Head head, bytes path, Limits limits)
