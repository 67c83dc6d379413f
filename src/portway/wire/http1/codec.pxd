cimport cython

from portway.wire cimport events, fields, waits
from portway.wire.fields cimport Outgoing
from portway.wire.http1 cimport bodies, encode, states
from portway.wire.http1.encode cimport Preamble
from portway.wire.http1.head cimport Section, read_head
from portway.wire.port cimport Limits

cdef Py_ssize_t EMPTY_LINES
cdef Py_ssize_t PIPELINE
cdef Py_ssize_t DRAIN
cdef Py_ssize_t SEEN


@cython.final
cdef class Codec:
    cdef Limits _limits
    cdef Preamble _preamble
    cdef int _theirs
    cdef int _ours
    cdef bytes _kept
    cdef list _out
    cdef events.Head _head
    cdef Section _last
    cdef bint _old
    cdef int _framing
    cdef Py_ssize_t _left
    cdef bodies.Chunked _chunked
    cdef bint _unread
    cdef int _empty
    cdef readonly Py_ssize_t requests
    cdef public bint closing
    cdef readonly bint heard

    @cython.locals(found=list, at=Py_ssize_t, stop=Py_ssize_t, begin=Py_ssize_t)
    cpdef list receive(self, bytes data)

    cpdef list eof(self)
    cpdef object unread(self)
    cpdef bint turn(self) except -1
    cpdef int waiting(self) except -1
    cpdef bint crowded(self) except -1
    cpdef bint idle(self) except -1
    cpdef bint begun(self) except -1
    cpdef bint behind(self) except -1
    cpdef bint until_close(self) except -1
    cpdef bint unframed(self) except -1
    cpdef bytes tunnel(self, Outgoing outgoing, bytes protocol)
    cpdef object pour(self, list parts)

    @cython.locals(most=Py_ssize_t)
    cdef bint _keeps(self, bytes data) except -1

    @cython.locals(head=events.Head)
    cdef Py_ssize_t _receive_head(self, bytes data, Py_ssize_t at, list found) except -1

    cdef Py_ssize_t _skip_empty_lines(self, bytes data, Py_ssize_t at) except -1

    @cython.locals(end=Py_ssize_t, last=bint)
    cdef Py_ssize_t _receive_body(self, bytes data, Py_ssize_t at, list found) except -1

    @cython.locals(content=list, chunked=bodies.Chunked, last=bint)
    cdef Py_ssize_t _receive_chunks(self, bytes data, Py_ssize_t at, list found) except -1

    cdef object _skipped(self)
    cpdef list take(self)

    @cython.locals(head=events.Head, bodiless=bint, framing=int, out=list)
    cpdef object respond(self, int status, Outgoing outgoing, bytes body, bint end)

    cpdef object inform(self, int status, Outgoing outgoing)
    cpdef object body(self, bytes data, bint end)
    cpdef object trailers(self, Outgoing outgoing)
    cpdef bint fail(self, object fault) except -1
    cdef bint _costly(self) except -1
    cdef object _settle_persistence(self, events.Head head, Outgoing outgoing, int framing, bint end)
    cdef object _write_framing(self, int framing, bytes body, bint end, int status)
