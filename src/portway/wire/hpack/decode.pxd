cimport cython

from portway.wire.hpack cimport huffman, integers, table
from portway.wire.hpack.integers cimport Reader
from portway.wire.hpack.table cimport DecoderTable, size_of

cdef Py_ssize_t NOTHING_OWED


@cython.final
cdef class Decoder:
    cdef Py_ssize_t _list_most
    cdef Py_ssize_t _limit
    cdef Py_ssize_t _owed
    cdef readonly DecoderTable table
    cdef readonly bint too_large

    cpdef object limit_table(self, Py_ssize_t most)

    @cython.locals(view="const unsigned char *", reader=Reader, pairs=list, pair=tuple, left=Py_ssize_t)
    cpdef list decode(self, bytes data)

    @cython.locals(most=Py_ssize_t)
    cdef object _resize(self, Reader reader)

    @cython.locals(pair=tuple)
    cdef tuple _field(self, Reader reader, int first)

    @cython.locals(index=Py_ssize_t, name=bytes)
    cdef tuple _literal(self, Reader reader, int mask)


@cython.locals(view="const unsigned char *", coded=bint, size=Py_ssize_t, start=Py_ssize_t)
cdef bytes _string(Reader reader)
