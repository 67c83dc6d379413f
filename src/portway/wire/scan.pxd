cimport cython

cdef bint COMPILED
cdef bytes _TOKEN
cdef bytes _TEXT
cdef bytes _TARGET
cdef const unsigned char* TOKEN
cdef const unsigned char* TEXT
cdef const unsigned char* TARGET
cdef dict KNOWN
cdef list NAMES
cdef unsigned int SLOTS_MASK

cpdef Py_ssize_t token(bytes data, Py_ssize_t at, Py_ssize_t stop) except -1
cpdef Py_ssize_t text(bytes data, Py_ssize_t at, Py_ssize_t stop) except -1
cpdef Py_ssize_t target(bytes data, Py_ssize_t at, Py_ssize_t stop) except -1

@cython.locals(view="const unsigned char *")
cpdef Py_ssize_t token_by_loop(bytes data, Py_ssize_t at, Py_ssize_t stop) except -1

@cython.locals(view="const unsigned char *")
cpdef Py_ssize_t text_by_loop(bytes data, Py_ssize_t at, Py_ssize_t stop) except -1

@cython.locals(view="const unsigned char *")
cpdef Py_ssize_t target_by_loop(bytes data, Py_ssize_t at, Py_ssize_t stop) except -1

cpdef Py_ssize_t token_by_pattern(bytes data, Py_ssize_t at, Py_ssize_t stop) except -1
cpdef Py_ssize_t text_by_pattern(bytes data, Py_ssize_t at, Py_ssize_t stop) except -1
cpdef Py_ssize_t target_by_pattern(bytes data, Py_ssize_t at, Py_ssize_t stop) except -1

cpdef Py_ssize_t find(bytes data, unsigned char char, Py_ssize_t at, Py_ssize_t stop) except -1

@cython.locals(view="const unsigned char *")
cpdef Py_ssize_t find_by_loop(bytes data, unsigned char char, Py_ssize_t at, Py_ssize_t stop) except -1

cpdef Py_ssize_t find_by_method(bytes data, unsigned char char, Py_ssize_t at, Py_ssize_t stop) except -1

cdef Py_ssize_t DIGITS_MOST
cdef Py_ssize_t NO_NUMBER

cpdef Py_ssize_t decimal(bytes data) except -2

@cython.locals(view="const unsigned char *", size=Py_ssize_t, number=Py_ssize_t, i=Py_ssize_t, digit="unsigned char")
cpdef Py_ssize_t decimal_by_loop(bytes data) except -2

cpdef Py_ssize_t decimal_by_method(bytes data) except -2

cpdef bytes name(bytes data, Py_ssize_t at, Py_ssize_t stop)

@cython.locals(view="const unsigned char *", known="const unsigned char *", mixed="unsigned int", i=Py_ssize_t, found=bytes)
cpdef bytes name_by_loop(bytes data, Py_ssize_t at, Py_ssize_t stop)

cpdef bytes name_by_lookup(bytes data, Py_ssize_t at, Py_ssize_t stop)
