cimport cython

from portway.wire cimport events
from portway.wire.http1.encode cimport Preamble
from portway.wire.http2 cimport frames, states
from portway.wire.http2.guards cimport Budget
from portway.wire.http2.settings cimport Terms
from portway.wire.http2.streams cimport Stream
from portway.wire.http2.writer cimport Writer

cdef bytes LAST_PING


cdef class Control(Writer):
    cdef bint _announced_end
    cdef Py_ssize_t _final
    cdef Py_ssize_t _our_window
    cdef dict _promised
    cdef Budget _resets
    cdef bint _welcomed
    cdef readonly bint closing
    cdef readonly bint leaving

    cdef object _begin_control(self, Terms terms, Preamble preamble, Py_ssize_t list_most)
    cpdef object refill(self, Py_ssize_t seconds)
    cpdef object announce_end(self)
    cpdef object end(self)

    @cython.locals(stream=Stream)
    cpdef list stalled(self)

    cpdef list stuck(self)

    @cython.locals(stream=Stream, ours=bint)
    cpdef list silent(self)

    @cython.locals(stream=Stream)
    cpdef bint refuse(self, Py_ssize_t number, object fault) except -1

    cdef object _take_rare(self, bytes payload, int kind, int flags, Py_ssize_t stream, list found)

    @cython.locals(stream=Stream, state=int, verdict=int)
    cdef Stream _stream_of(self, Py_ssize_t number, int column, list found)

    @cython.locals(stream=Stream)
    cdef object _break(self, Py_ssize_t number, object fault, list found)

    cdef object _answer(self, Py_ssize_t number, object fault, list found)

    @cython.locals(stream=Stream, size=Py_ssize_t)
    cdef object _take_window(self, const unsigned char *view, Py_ssize_t at, Py_ssize_t end, Py_ssize_t number, list found)

    cdef object _widen(self, Stream stream, Py_ssize_t size, list found)

    @cython.locals(stream=Stream)
    cdef object _take_reset(self, const unsigned char *view, Py_ssize_t at, Py_ssize_t end, Py_ssize_t number, list found)

    cdef object _take_settings(self, bytes payload, int flags, Py_ssize_t number)

    @cython.locals(stream=Stream, narrower=Py_ssize_t)
    cdef object _agree(self)

    @cython.locals(stream=Stream, wider=Py_ssize_t)
    cdef object _change_windows(self, Py_ssize_t size)

    cdef object _take_ping(self, bytes payload, int flags, Py_ssize_t number)
    cdef object _take_priority(self, bytes payload, Py_ssize_t number, list found)

    @cython.locals(stream=Stream)
    cdef object _take_priority_update(self, bytes payload, Py_ssize_t number)
    cdef object _promise(self, Py_ssize_t number, int urgency, bint incremental)

    cdef object _say_goodbye(self, int code, str text)
