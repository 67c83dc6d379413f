cimport cython

from portway.wire cimport fields
from portway.wire.fields cimport Outgoing
from portway.wire.hpack.encode cimport Encoder
from portway.wire.http1.encode cimport Preamble
from portway.wire.http2 cimport frames, states
from portway.wire.http2.guards cimport Budget
from portway.wire.http2.settings cimport Terms
from portway.wire.http2.states cimport Fates
from portway.wire.http2.streams cimport Schedule, Stream

cdef Py_ssize_t JOINED_MOST
cdef Py_ssize_t TAKEN_MOST
cdef Py_ssize_t QUEUED_FEW
cdef Py_ssize_t DRAIN
cdef Py_ssize_t CRUMB
cdef Py_ssize_t CREDIT_MOST


cdef class Writer:
    cdef Terms _terms
    cdef Preamble _preamble
    cdef Encoder _encoder
    cdef bytearray _small
    cdef list _parts
    cdef Schedule _schedule
    cdef Fates _fates
    cdef Budget _glitches
    cdef list _opened
    cdef Py_ssize_t _frame
    cdef Py_ssize_t _their_window
    cdef long long _window
    cdef Py_ssize_t _kept_credit
    cdef Py_ssize_t _their_room
    cdef Py_ssize_t _narrowed
    cdef bint _moved
    cdef readonly dict streams
    cdef public bint blocked

    cdef object _begin(self, Terms terms, Preamble preamble)

    @cython.locals(parts=list)
    cpdef list take(self)

    cpdef bint ready(self) except -1
    cpdef Py_ssize_t backlog(self) except -1
    @cython.locals(stream=Stream)
    cpdef bint room(self, Py_ssize_t number) except -1

    cpdef list opened(self)

    @cython.locals(stream=Stream, mute=bint, last=bint, begin=list)
    cpdef bint respond(self, Py_ssize_t number, int status, Outgoing outgoing, bytes body, bint end) except -1

    @cython.locals(stream=Stream)
    cpdef object inform(self, Py_ssize_t number, int status, Outgoing outgoing)

    @cython.locals(stream=Stream)
    cpdef bint body(self, Py_ssize_t number, bytes data, bint end) except -1

    @cython.locals(stream=Stream)
    cpdef object trailers(self, Py_ssize_t number, Outgoing outgoing)

    @cython.locals(stream=Stream)
    cpdef object tunnel(self, Py_ssize_t number, Outgoing outgoing)

    @cython.locals(stream=Stream)
    cpdef object reset(self, Py_ssize_t number, int code)

    @cython.locals(stream=Stream)
    cpdef object credit(self, Py_ssize_t number, Py_ssize_t size)

    @cython.locals(out=bytearray, at=Py_ssize_t, size=Py_ssize_t, flags=int)
    cdef object _head(self, Py_ssize_t number, int status, list begin, list pairs, bint last)

    @cython.locals(out=bytearray, kind=int)
    cdef object _in_parts(self, Py_ssize_t number, Py_ssize_t at, int flags)

    cdef object _trail(self, Stream stream, Outgoing outgoing)

    @cython.locals(size=Py_ssize_t)
    cdef bint _content(self, Stream stream, bytes data, bint end) except -1

    @cython.locals(size=Py_ssize_t)
    cdef object _data(self, Stream stream, bytes data, bint end)

    @cython.locals(stream=Stream, left=Py_ssize_t, most=Py_ssize_t, piece=bytes)
    cdef object _pump(self)

    cdef object _last_of(self, Stream stream, bytes piece)
    @cython.locals(invited=bint)
    cdef object _said_all(self, Stream stream)

    cdef object _reset(self, Stream stream, int code)
    cdef object _close(self, Stream stream, int state)
    cdef object _consume(self, Stream stream)
    @cython.locals(kept=Py_ssize_t)
    cdef object _credit_all(self, Py_ssize_t size)
