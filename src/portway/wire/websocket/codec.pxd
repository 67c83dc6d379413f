cimport cython

from portway.wire.websocket cimport frames
from portway.wire.websocket.mask cimport turned, unmask, unmask_into, unwritten

cdef bint COMPILED
cdef int OPEN
cdef int OURS
cdef int CLOSED
cdef int TEXT_HEAD
cdef int BINARY_HEAD
cdef list _NOTHING
cdef Py_ssize_t PART_LEAST
cdef Py_ssize_t JOINED_MOST


@cython.final
cdef class Closed:
    cdef readonly int code
    cdef readonly str reason


@cython.final
cdef class Codec:
    cdef Py_ssize_t _most
    cdef object _deflate
    cdef bytes _kept
    cdef list _out
    cdef int _opcode
    cdef bint _inflating
    cdef object _decoder
    cdef list _pieces
    cdef list _joined
    cdef bytes _whole
    cdef Py_ssize_t _size
    cdef Py_ssize_t _wire
    cdef Py_ssize_t _left
    cdef bint _last
    cdef unsigned int _mask
    cdef readonly Py_ssize_t size
    cdef readonly Py_ssize_t queued
    cdef readonly int state

    cpdef list receive(self, bytes data, Py_ssize_t room, Py_ssize_t weight)
    cpdef list receive_from(self, const unsigned char *buffer, Py_ssize_t size, Py_ssize_t room, Py_ssize_t weight)

    @cython.locals(data=bytes, found=list)
    cdef list _receive(self, const unsigned char *view, Py_ssize_t size, Py_ssize_t room, Py_ssize_t weight)

    @cython.locals(
        at=Py_ssize_t, start=Py_ssize_t, end=Py_ssize_t, size=Py_ssize_t, first=int, mask="unsigned int",
        payload=bytes,
    )
    cdef object _read(
        self, const unsigned char *view, Py_ssize_t stop, Py_ssize_t room, Py_ssize_t size_most, list found
    )

    cpdef bint unread(self) except -1

    @cython.locals(opcode=int)
    cdef object _check(self, int first, Py_ssize_t size)

    @cython.locals(opcode=int, most=Py_ssize_t)
    cdef object _begin(self, int first, Py_ssize_t size)

    @cython.locals(end=Py_ssize_t, whole=bytes, piece=bytes)
    cdef Py_ssize_t _payload(self, const unsigned char *view, Py_ssize_t at, Py_ssize_t stop, list found) except -1

    @cython.locals(ended=bint, pieces=list, joined=list)
    cdef object _piece(self, bytes piece, list found)

    cdef object _control(self, int opcode, bytes payload, list found)

    cpdef list take(self)

    @cython.locals(payload=bytes, text_=str, first=int, size=Py_ssize_t)
    cpdef Py_ssize_t send(self, object message) except -1

    cpdef object ping(self, bytes payload=*)
    cpdef object close(self, int code, str reason=*)
    cpdef object fail(self, object fault)
    @cython.locals(size=Py_ssize_t, head=bytes)
    cdef object _write(self, int first, bytes payload)


cdef str text(bytes payload)
cdef str more_text(object decoder, bytes piece, bint ended)
cdef Py_ssize_t large(const unsigned char *view, Py_ssize_t at) except -1
