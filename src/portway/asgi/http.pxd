cimport cython

from portway.asgi cimport ready
from portway.asgi.mailbox cimport Mailbox
from portway.wire cimport fields
from portway.wire.events cimport Head
from portway.wire.fields cimport Outgoing
from portway.wire.port cimport Port

cdef int START
cdef int HELD
cdef int BODY
cdef int FILE
cdef int TRAILERS
cdef int DONE
cdef int GONE
cdef object _running_loop
cdef int NO_STATUS
cdef int CLIENT_WENT
cdef str _START
cdef str _BODY
cdef str _TRAILERS
cdef str _EARLY_HINT
cdef str _PATHSEND
cdef str _ZEROCOPYSEND


@cython.final
cdef class Room(ready.Source):
    cdef object _owner
    cdef bint _open

    cpdef object open(self)


cdef Outgoing _checked(str kind, str key, object values)


@cython.final
cdef class Cycle:
    cdef readonly Head head
    cdef readonly object client
    cdef readonly int state
    cdef readonly int status
    cdef readonly Py_ssize_t size
    cdef public object task
    cdef public bint ended
    cdef readonly Py_ssize_t missing
    cdef public dict answered_by
    cdef Port _port
    cdef readonly object loop
    cdef object _hooks
    cdef Mailbox _mailbox
    cdef Room _room
    cdef Outgoing _outgoing
    cdef Py_ssize_t _left
    cdef bint _trailers
    cdef double _started

    cpdef object begin(self, Head head, Port port, object loop, object hooks, object client)

    @cython.locals(mailbox=Mailbox)
    cpdef Py_ssize_t deliver(self, bytes data, bint end) except -1

    cpdef object leave(self)
    cpdef object gone(self)
    cpdef object refused(self, int status)

    @cython.locals(room=Room)
    cpdef object writable(self)

    cpdef object receive(self)

    @cython.locals(mailbox=Mailbox)
    cpdef object take(self)

    cpdef object arrival(self)
    @cython.locals(state=int)
    cpdef object send(self, object message)
    cpdef object respond(self, object status, object headers, bytes body)

    @cython.locals(outgoing=Outgoing)
    cpdef object declare(self, Py_ssize_t size)

    cpdef object bring(self, bytes data, bint end)

    cpdef bint fail(self, int status, str text, tuple more=*) except -1
    cpdef object abort(self)

    @cython.locals(mailbox=Mailbox)
    cdef Mailbox _mail(self)

    cdef object _hold(self, object status, object headers, object trailers)

    cdef object _send_body(self, dict message)

    @cython.locals(last=bint, room=bint, size=Py_ssize_t, stream=Py_ssize_t, outgoing=Outgoing)
    cdef object _bring(self, bytes data, bint end)

    cdef object _wait_for_room(self)
    @cython.locals(outgoing=Outgoing)
    cdef object _too_short(self, bytes data)
    cdef object _send_rare(self, object kind, dict message)
    cdef object _send_trailers(self, dict message)
    cdef object _send_early_hint(self, dict message)

    @cython.locals(mailbox=Mailbox)
    cdef object _end(self, int state)
