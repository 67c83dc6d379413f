"""Opens the sockets that connections come through: TCP, Unix, or inherited by a file descriptor."""

from __future__ import annotations

import array
import contextlib
import errno
import os
import select
import socket
import stat
import struct
import sys
from typing import Any

from portway.errors import BindError

# A Unix socket is for whoever may reach its folder, as uvicorn and nginx have it.
UNIX_MODE = 0o666

# How often a free port is looked for that is free for every address of a name.
FREE_PORT_TRIES = 10

# socket(7). Three lines for each: what to do, where to go if it holds and if it does not, and a number.
SO_ATTACH_FILTER = 26
WITHOUT_SYN = (
    (0x30, 0, 0, 13),  # load the byte with the flags of TCP (RFC 9293 §3.1): the filter sees its header first
    (0x54, 0, 0, 0x12),  # keep SYN and ACK of them
    (0x15, 0, 1, 0x02),  # is it SYN alone?
    (0x06, 0, 0, 0),  # then drop it
    (0x06, 0, 0, 0xFFFFFFFF),  # else take all of it
)

# sock_diag(7): the sockets of a state, which here is that of a handshake under way.
NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
DUMP = 0x301
SYN_RECV = 1 << 3

HINTS = {
    errno.EADDRINUSE: "another program is listening there; stop it, or choose another port",
    errno.EACCES: "not permitted; ports below 1024 and foreign folders need privileges",
    errno.EADDRNOTAVAIL: "that address is not of this machine",
    errno.ENOENT: "the folder does not exist",
}


def why(where: str, error: OSError) -> str:
    """What a BindError says."""
    hint = HINTS.get(error.errno or 0)
    return f"cannot listen on {where}: {hint or error.strerror or error}"


def tcp(host: str, port: int) -> list[socket.socket]:
    """A bound socket for each address of `host`; port 0 is one free port, the same for all of them."""
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a host name"
        raise BindError(f"cannot listen on {where}: {reason}; is the name right?") from None
    for attempt in range(FREE_PORT_TRIES, 0, -1):
        try:
            return _bind_all([(family, kind, address) for family, kind, _, _, address in found])
        except OSError as error:
            # A port that was free for the first address may be taken for the next one.
            if port or attempt == 1 or error.errno != errno.EADDRINUSE:
                raise BindError(why(where, error)) from None
    raise AssertionError


def _bind_all(found: list[tuple[int, int, Any]]) -> list[socket.socket]:
    """Bind each address; those of a family that this machine has no network of may fail, but not all."""
    bound: list[socket.socket] = []
    absent: OSError | None = None
    try:
        for family, kind, address in dict.fromkeys(found):
            if address[1] == 0 and bound:
                address = (address[0], bound[0].getsockname()[1], *address[2:])
            try:
                bound.append(_bind_tcp(family, kind, address))
            except OSError as error:
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                absent = error
        if not bound and absent is not None:
            raise absent
    except OSError:
        for sock in bound:
            sock.close()
        raise
    return bound


def _bind_tcp(family: int, kind: int, address: Any, spreads: bool = False) -> socket.socket:
    sock = Own(family, kind)
    try:
        if os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if spreads:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        without_delay(sock)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def without_delay(sock: socket.socket) -> None:
    """Let no small write wait for the acknowledgement of the one before (RFC 896): 40 ms on Linux.

    What is accepted inherits it. asyncio sets it only on a socket that was made with the number of TCP.
    """
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Own(socket.socket):
    """A socket that this server made: no one else holds it, unless it is given away."""

    __slots__ = ("_maker",)

    def __init__(self, family: int = -1, kind: int = -1, number: int | None = None) -> None:
        """A new one, or the one behind a descriptor."""
        super().__init__(family, kind, fileno=number)
        self._maker = os.getpid()

    def disown(self) -> None:
        """Others go on with it."""
        self._maker = 0

    @property
    def ours(self) -> bool:
        """Not in a process that was forked."""
        return self._maker == os.getpid()

    def dup(self) -> socket.socket:  # type: ignore[override]  # no second owner
        """A second hold of it, which is for someone else."""
        copy = socket.fromfd(self.fileno(), self.family, self.type, self.proto)
        copy.settimeout(self.gettimeout())
        return copy


class OwnPath(Own):
    """A Unix socket that made the file of its path, and removes it."""

    __slots__ = ("_file", "_path")

    def __init__(self, path: str, number: int | None = None, file: tuple[int, int] | None = None) -> None:
        """A new one, or the one behind a descriptor, which is bound to that file."""
        super().__init__(socket.AF_UNIX, socket.SOCK_STREAM, number)
        self._path = path
        self._file = file

    @property
    def own(self) -> tuple[str, tuple[int, int]] | None:
        """The path, and which file it is."""
        return None if self._file is None else (os.path.abspath(self._path), self._file)

    def take(self) -> None:
        """Bind to the path."""
        self.bind(self._path)
        self._file = _file(self._path)
        os.chmod(self._path, UNIX_MODE)

    def remove(self) -> None:
        """Remove the file, if it is still the one that was made."""
        if self.ours and self._file is not None and self._file == _file(self._path):
            with contextlib.suppress(OSError):
                os.unlink(self._path)
        self._file = None


def _file(path: str) -> tuple[int, int] | None:
    """Which file this is, whatever its name."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def unix(path: str) -> socket.socket:
    """A bound Unix socket; one that a dead server left behind is replaced, anything else is not."""
    if not hasattr(socket, "AF_UNIX"):
        raise BindError(f"cannot listen on {path}: this platform has no Unix sockets")
    sock = OwnPath(path)
    try:
        _clear_the_way(path)
        sock.take()
    except OSError as error:
        close(sock)
        raise BindError(why(path, error)) from None
    except BindError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def inherited(number: int) -> socket.socket:
    """The socket behind a file descriptor that this process was started with, which stays open."""
    where = f"file descriptor {number}"
    copy = -1
    try:
        copy = os.dup(number)
        sock = socket.socket(fileno=copy)
    except OSError as error:
        if copy >= 0:
            os.close(copy)
        raise BindError(f"cannot listen on {where}: {error.strerror}; it must be an open socket") from None
    if sock.type != socket.SOCK_STREAM:
        sock.close()
        raise BindError(f"cannot listen on {where}: it is no stream socket")
    without_delay(sock)
    sock.setblocking(False)
    return sock


def begin(sock: socket.socket, backlog: int) -> None:
    """Listen. Not left to the loop: two may bind to a port and only one listen, and uvloop does not tell."""
    try:
        sock.listen(backlog)
    except OSError as error:
        raise BindError(why(url(sock).removeprefix("http://"), error)) from None


def stem(sock: socket.socket) -> None:
    """Let nobody else in, for all who hold this socket; who is in, or half in, stays. May be called again.

    Of a Unix socket the file is removed, if this socket made it. Of TCP, Linux drops what would begin a connection: to
    the client it is as if it were lost, and sent again later. Elsewhere this does nothing.
    """
    if isinstance(sock, OwnPath):
        sock.remove()
    elif sys.platform == "linux" and sock.family in (socket.AF_INET, socket.AF_INET6):
        lines = array.array("B", b"".join(struct.pack("HBBI", *line) for line in WITHOUT_SYN))
        program = struct.pack("HP", len(WITHOUT_SYN), lines.buffer_info()[0])
        with contextlib.suppress(OSError):  # not permitted here, or not known
            sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)


def waiting(sock: socket.socket) -> bool:
    """Whether somebody waits to be accepted."""
    if sock.fileno() < 0:
        return False
    if not hasattr(select, "poll"):
        return bool(select.select([sock], [], [], 0)[0])
    asked = select.poll()
    asked.register(sock, select.POLLIN)
    return bool(asked.poll(0))


def half_open(sock: socket.socket) -> bool:
    """Whether somebody is about to wait: the handshake of TCP is under way. Elsewhere than on Linux nobody tells."""
    if sys.platform != "linux" or sock.fileno() < 0 or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    port = struct.pack(">H", sock.getsockname()[1])
    what = struct.pack("=BBBxL2s46x", sock.family, socket.IPPROTO_TCP, 0, SYN_RECV, port)
    head = struct.pack("=LHHLL", 16 + len(what), SOCK_DIAG_BY_FAMILY, DUMP, 0, 0)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as kernel:
            kernel.send(head + what)
            kind: int = struct.unpack_from("=4xH", kernel.recv(65536))[0]
    except OSError:  # not permitted here
        return False
    return kind == SOCK_DIAG_BY_FAMILY


def url(sock: socket.socket, scheme: str = "http") -> str:
    """How a person reaches it."""
    name = sock.getsockname()
    if not isinstance(name, tuple):
        return f"unix:{os.fsdecode(name)}"
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"{scheme}://{host}:{name[1]}"


def close(sock: socket.socket) -> None:
    """Close it; the file that a Unix socket made goes with it."""
    if isinstance(sock, OwnPath):
        sock.remove()
    sock.close()


# --- for several processes ---


def spreading(sock: socket.socket) -> socket.socket:
    """In place of a bound TCP socket one that others may be bound beside (SO_REUSEPORT).

    The plain one came first, since it is refused where somebody else listens.
    """
    name = sock.getsockname()
    sock.close()
    return _spreading(sock.family, name)


def beside(sock: socket.socket) -> socket.socket:
    """Another one at the same address: the kernel spreads connections between the two."""
    return _spreading(sock.family, sock.getsockname())


def _spreading(family: int, name: Any) -> socket.socket:
    try:
        return _bind_tcp(family, socket.SOCK_STREAM, name, spreads=True)
    except OSError as error:
        raise BindError(why(f"{name[0]}:{name[1]}", error)) from None


def origin(sock: socket.socket) -> Any:
    """Whether we made it, and the file of a Unix socket: what `adopted` needs to know in another process."""
    return sock.own if isinstance(sock, OwnPath) else isinstance(sock, Own)


def adopted(number: int, origin: Any) -> socket.socket:
    """The listening socket behind a descriptor that comes from another process of this server."""
    if not origin:
        sock = socket.socket(fileno=number)
    elif origin is True:
        sock = Own(number=number)
    else:
        path, file = origin
        sock = OwnPath(path, number, tuple(file))
    sock.setblocking(False)
    return sock


def _clear_the_way(path: str) -> None:
    """Remove what a dead server left behind; BindError if something else stands there."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise BindError(f"cannot listen on {path}: there is a file of that name that is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # a server that accepts nobody would keep us waiting
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except FileNotFoundError:
            return
        except BlockingIOError:
            pass
    raise BindError(f"cannot listen on {path}: another server is listening there")
