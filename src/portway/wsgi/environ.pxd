cimport cython

cdef dict _known
cdef dict VERSIONS

cpdef dict base_of(bint multithread, bint multiprocess)

@cython.locals(scope=dict, environ=dict, path=str, script=str, target=str, query=str, raw=bytes, client=object)
cpdef dict environ_of(object asked, dict base)

@cython.locals(known=dict, variable=object, text=str, name=bytes, value=bytes)
cpdef object add_headers(dict environ, object headers)

cpdef object variable_of(bytes name)
cpdef object path_of(str path, bytes raw)
cpdef object without(str path, str script)
cdef str _native(str text)
cdef object _name_server(dict environ, object scheme)
