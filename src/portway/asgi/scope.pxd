cimport cython

from portway.wire cimport scan
from portway.wire.events cimport Head

cdef unsigned char PERCENT
cdef dict ASGI
cdef dict FILES
cdef dict EARLY_HINT
cdef dict EARLY_HINT_AND_TRAILERS

@cython.locals(scope=dict, raw_path=bytes, path=str, root_path=str)
cpdef dict http_scope(dict shared, Head head, dict state)

cpdef dict websocket_scope(dict shared, Head head, dict state, list subprotocols)

@cython.locals(size=Py_ssize_t)
cpdef str decode_path(bytes raw)

cpdef dict extensions(Head head)
cdef object _add_tls(dict found, dict tls)
