cimport cython

from portway.wire.hpack cimport huffman, integers
from portway.wire.hpack.table cimport EncoderTable, size_of

cdef int AT_ONCE
cdef int LATER
cdef int NOT
cdef int NEVER
cdef Py_ssize_t SHARE
cdef dict RULES
cdef Py_ssize_t ONCE_MOST


@cython.final
cdef class Rule:
    cdef readonly bytes name
    cdef readonly bint lowered
    cdef readonly int when
    cdef readonly bytes added
    cdef readonly bytes literal
    cdef readonly dict values


@cython.final
cdef class Encoder:
    cdef readonly EncoderTable table
    cdef set _once
    cdef bint _resized
    cdef Py_ssize_t _least

    cpdef object limit_table(self, Py_ssize_t most)

    @cython.locals(out=bytearray)
    cpdef bytes encode(self, list pairs, int status=*)

    cpdef object begin(self, bytearray out, int status)

    @cython.locals(pair=tuple)
    cpdef object write(self, bytearray out, list pairs)

    cdef object _announce(self, bytearray out)

    @cython.locals(index=Py_ssize_t)
    cdef object _field(self, bytearray out, tuple pair)

    @cython.locals(rule=Rule, value=bytes, index=Py_ssize_t)
    cdef object _literal(self, bytearray out, tuple pair)

    cdef bint _worthy(self, int when, tuple pair) except -1


@cython.locals(size=Py_ssize_t)
cpdef object write_string(bytearray out, bytes data)
