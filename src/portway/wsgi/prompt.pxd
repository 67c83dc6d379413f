cimport cython

from portway.wsgi.environ cimport environ_of
from portway.wsgi.reply cimport Reply

cdef object _BytesIO


@cython.final
cdef class Prompt:
    cdef object _app
    cdef dict _base


@cython.locals(reply=Reply, written=list, first=bytes)
cpdef object begin(object app, dict environ, object scope, object dialogue)

@cython.locals(over=bint, first=bytes)
cdef object _iterate(
    Reply reply, object result, list written, dict environ, object scope, object dialogue
)
cdef object closed(object result)
cdef object _finish(Reply reply, object pieces)
cdef object _whole(Reply reply, bytes data, dict environ)
