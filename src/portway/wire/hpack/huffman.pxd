cimport cython

cdef int SHORTEST
cdef int LONGEST
cdef int QUICK_BITS
cdef int LONG_LEAST
cdef int UNREAD_BITS
cdef unsigned long long UNREAD
cdef unsigned int[256] CODES
cdef bytes _LENGTHS
cdef bytes _ORDERED
cdef const unsigned char* LENGTHS
cdef const unsigned char* ORDERED
cdef unsigned short[256] QUICK
cdef unsigned int[31] LIMITS
cdef int[31] RANKS

cpdef bytearray room(Py_ssize_t size)

@cython.locals(
    view="const unsigned char *", out="unsigned char *", size=Py_ssize_t, window="unsigned long long", count=int,
    found=int,
)
cpdef bytes decode(bytes data, Py_ssize_t at, Py_ssize_t stop, bytearray spare)

@cython.locals(length=int, code="unsigned int")
cdef int _long(unsigned long long window, int count) except -1

@cython.locals(found=int, length=int)
cdef Py_ssize_t _end(unsigned long long window, int count, unsigned char* out, Py_ssize_t size) except -1

@cython.locals(view="const unsigned char *", bits=Py_ssize_t, i=Py_ssize_t)
cpdef Py_ssize_t encoded_size(bytes data) except -1

@cython.locals(view="const unsigned char *", window="unsigned long long", count=int, char="unsigned char", i=Py_ssize_t)
cpdef object encode(bytearray out, bytes data)
