cimport cython

from portway.wire cimport events, waits
from portway.wire.events cimport Head
from portway.wire.hpack.decode cimport Decoder
from portway.wire.hpack.table cimport DecoderTable
from portway.wire.http1.encode cimport Preamble
from portway.wire.http2 cimport frames, head, states
from portway.wire.http2.control cimport Control
from portway.wire.http2.settings cimport Terms
from portway.wire.http2.streams cimport Stream
from portway.wire.port cimport Limits

cdef int BLOCK_SHARE
cdef Py_ssize_t REMEMBERED_MOST
cdef Py_ssize_t EVENTS_MOST
cdef Py_ssize_t RESTORED_MOST
cdef Py_ssize_t OVERHEAD
cdef bint COMPILED


@cython.final
cdef class Codec(Control):
    cdef list _block
    cdef bint _block_end
    cdef bint _block_fault
    cdef Py_ssize_t _block_left
    cdef Py_ssize_t _block_most
    cdef Py_ssize_t _block_stream
    cdef Decoder _decoder
    cdef bint _greeted
    cdef bytes _kept
    cdef Head _last
    cdef bytes _last_block
    cdef Py_ssize_t _last_changes
    cdef Limits _limits
    cdef bint _steady
    cdef bint _unread
    cdef readonly Py_ssize_t requests

    cpdef list receive(self, bytes data)

    @cython.locals(size=Py_ssize_t)
    cpdef Py_ssize_t restore(self, bytearray buffer) except -1

    cpdef list receive_from(self, bytearray buffer, Py_ssize_t size)

    @cython.locals(
        found=list, at=Py_ssize_t, size=Py_ssize_t, end=Py_ssize_t, stream=Py_ssize_t, narrowed=Py_ssize_t
    )
    cdef list _receive(self, const unsigned char *view, Py_ssize_t stop)

    cpdef bint unread(self) except -1
    cpdef bint begun(self) except -1

    @cython.locals(stream=Stream)
    cpdef object eof(self)
    cpdef int waiting(self) except -1
    cpdef object fail(self, object fault)

    cdef Py_ssize_t _greet(self, bytes data) except -1

    cdef object _frame_of(
        self, const unsigned char *view, Py_ssize_t at, Py_ssize_t end, int kind, int flags, Py_ssize_t stream,
        list found
    )

    @cython.locals(stream=Stream, size=Py_ssize_t, content=Py_ssize_t, last=bint, heard=bint)
    cdef object _take_data(
        self, const unsigned char *view, Py_ssize_t at, Py_ssize_t end, int flags, Py_ssize_t number, list found
    )

    cdef object _heard_all(self, Stream stream)

    cdef object _take_headers(
        self, const unsigned char *view, Py_ssize_t at, Py_ssize_t end, int flags, Py_ssize_t number, list found
    )

    cdef object _take_continuation(
        self, const unsigned char *view, Py_ssize_t at, Py_ssize_t end, int flags, Py_ssize_t number, list found
    )

    @cython.locals(table=DecoderTable, again=bint, pairs=list, stream=Stream, changes=Py_ssize_t)
    cdef object _take_block(self, Py_ssize_t number, bytes block, list found)

    @cython.locals(stream=Stream, end=bint, made=Head)
    cdef object _open(self, Py_ssize_t number, bytes block, list pairs, bint again, list found)

    @cython.locals(kept=Head)
    cdef object _judge(self, Head made, bytes block, list pairs, bint end)

    cdef object _take_trailers(self, Stream stream, list pairs, list found)


cdef Py_ssize_t unpadded(const unsigned char *view, Py_ssize_t at, Py_ssize_t end) except -1
