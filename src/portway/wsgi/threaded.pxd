cimport cython

from portway.wsgi.environ cimport environ_of
from portway.wsgi.reply cimport Reply
from portway.wsgi.threads cimport Threads

cdef Py_ssize_t JOIN_MOST
cdef object _BytesIO
cdef object _monotonic
cdef object _deque


@cython.final
cdef class Threaded:
    cdef object _app
    cdef dict _base
    cdef object _desk
    cdef Threads _threads
    cdef double _timeout

    cpdef Call call(self, dict environ, object scope, object dialogue)
    @cython.locals(threads=Threads)
    cpdef bint submit(self, Call call) except -1


@cython.final
cdef class Call:
    cdef object _app
    cdef Threads _threads
    cdef object _context
    cdef object _error
    cdef object _waiter
    cdef bint _alone
    cdef bint _left
    cdef readonly dict environ
    cdef readonly object desk
    cdef readonly object scope
    cdef readonly object dialogue
    cdef readonly Reply reply
    cdef readonly object pieces
    cdef public object file
    cdef public object input
    cdef public object fault
    cdef public object listener
    cdef public object paused
    cdef public object word
    cdef public bint expects
    cdef readonly bint watching
    cdef public bint told
    cdef readonly object room
    cdef readonly Py_ssize_t queued_in
    cdef public Py_ssize_t queued_out
    cdef public double submitted
    cdef readonly double began
    cdef readonly double moved
    cdef readonly double left_at
    cdef readonly object thread
    cdef public int reported
    cdef readonly bint gone
    cdef readonly bint over

    cpdef object wait(self, object waiter)
    @cython.locals(reply=Reply)
    cpdef object answer(self)
    cdef bint _is_plain(self) except -1
    cpdef object heed(self)
    cpdef object listen(self)
    @cython.locals(size=Py_ssize_t)
    cpdef object joined(self)
    cpdef object leave(self)
    cpdef object close(self)
    cpdef object conclude(self)
    cdef object _drop_pieces(self)
    cpdef object run(self)
    cpdef object ask(self)
    @cython.locals(reply=Reply, piece=bytes)
    cdef object _iterate(self, object result)
    @cython.locals(reply=Reply)
    cdef bint _give_file(self, object wrapper) except -1
    cpdef object _put(self, object piece)
    cdef object _wait_for_room(self)
