cimport cython

from portway.link.context cimport Shared
from portway.link.deadline cimport Deadline

cdef int WAITING
cdef int SHAKING
cdef int OPEN
cdef int ENDED
cdef Py_ssize_t RECORD_MOST
cdef Py_ssize_t SEALED_MOST
cdef Py_ssize_t RECORDS_TOGETHER
cdef int ANSWERS_MOST
cdef Py_ssize_t WRITE_MOST
cdef Py_ssize_t SLICED_MOST
cdef Py_ssize_t JOINED_MOST
cdef bint COMPILED
cdef int END
cdef int HALF
cdef int BROKEN


@cython.final
cdef class Filter(Deadline):
    cdef Shared _shared
    cdef object _choose
    cdef object _incoming
    cdef object _outgoing
    cdef object _tls
    cdef object _open
    cdef object _write
    cdef object _link
    cdef object _transport
    cdef bint _paused
    cdef bint _left
    cdef bint _told
    cdef int _answers
    cdef readonly int state
    cdef readonly object peer

    cpdef object get_buffer(self, Py_ssize_t hint)

    @cython.locals(state=int)
    cpdef object buffer_updated(self, Py_ssize_t size)

    cdef object _shake(self, Py_ssize_t size)
    cdef object _refuse(self, str why)

    @cython.locals(more=bint, fed=Py_ssize_t, most=Py_ssize_t, at=Py_ssize_t, got=Py_ssize_t)
    cdef object _read(self, Py_ssize_t size)

    @cython.locals(end=Py_ssize_t, source=bytearray, buffer="const unsigned char *", piece=bytes)
    cdef Py_ssize_t _feed(self, Py_ssize_t fed, Py_ssize_t size) except -1

    @cython.locals(got=Py_ssize_t)
    cdef Py_ssize_t _open_record(self, object room) except -3

    cdef bint _answer(self) except -1
    cdef object _break_off(self, str why)
    cdef object _tell(self)
    cpdef object write(self, bytes data)
    cpdef object writelines(self, list parts)
    cdef object _push(self)

    @cython.locals(at=Py_ssize_t)
    cdef object _seal(self, list parts)

    cdef object _send(self, list sealed)
    cdef object _say_goodbye(self)

@cython.locals(joined=list, few=list, size=Py_ssize_t, part=bytes)
cpdef list together(list parts)
