cimport cython

cdef dict _names
cdef dict _pairs
cdef dict _codes

cdef class Reply:
    cdef readonly str method
    cdef public object sink
    cdef readonly int status
    cdef readonly list headers
    cdef readonly Py_ssize_t left
    cdef Py_ssize_t _declared
    cdef readonly bint begun
    cdef readonly bint bodiless
    cdef public bint whole
    cdef readonly Py_ssize_t surplus

    @cython.locals(code=int, length=Py_ssize_t, headers=list, name=bytes, known=tuple)
    cdef object _take_head(self, object status, object response_headers)
    cpdef object write(self, object data)
    @cython.locals(size=Py_ssize_t)
    cpdef bytes piece(self, object data)
    cpdef object begin(self)
    cpdef object give(self, Py_ssize_t count)
    cpdef object end(self)

cpdef int code_of(object status) except -1
cpdef list listed(object headers)
cpdef tuple known_of(object pair)
cpdef tuple header_of(object pair)
cpdef bytes name_of(object name)
@cython.locals(found=bytes)
cpdef bytes value_of(object name, object value)
cpdef Py_ssize_t length_of(bytes value, Py_ssize_t before) except -2
cpdef bytes as_bytes(object data)
