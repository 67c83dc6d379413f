cimport cython

cdef dict _known

@cython.locals(environ=dict, path=str, target=str, query=str)
cpdef dict environ_of(object scope, bint multithread, bint multiprocess)

@cython.locals(known=dict, variable=object, text=str)
cpdef object add_headers(dict environ, object headers)

cpdef object variable_of(bytes name)
cpdef object path_of(object scope)
cpdef object without(str path, str script)
cdef str _native(str text)
cdef object _name_server(dict environ, object scheme)
