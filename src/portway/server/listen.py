"""Opens the sockets that connections come through: TCP, Unix, or inherited by a file descriptor."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat

from portway.errors import BindError

# A Unix socket is for whoever may reach its folder, as uvicorn and nginx have it.
UNIX_MODE = 0o666


def tcp(host: str, port: int) -> list[socket.socket]:
    """A bound socket for each address of `host`; port 0 is one free port, the same for all of them."""
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise BindError(f"cannot listen on {host}:{port}: {error.strerror or error}; is the name right?") from None
    bound: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            if port == 0 and bound:
                address = (address[0], bound[0].getsockname()[1], *address[2:])
            bound.append(_bind_tcp(family, kind, protocol, address))
    except OSError as error:
        for sock in bound:
            sock.close()
        raise BindError(_why(f"{host}:{port}", error)) from None
    return bound


def _bind_tcp(family: int, kind: int, protocol: int, address: tuple[object, ...]) -> socket.socket:
    sock = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def unix(path: str) -> socket.socket:
    """A bound Unix socket; one that a dead server left behind is replaced, anything else is not."""
    if not hasattr(socket, "AF_UNIX"):
        raise BindError(f"cannot listen on {path}: this platform has no Unix sockets")
    _clear_the_way(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(path)
        os.chmod(path, UNIX_MODE)
    except OSError as error:
        sock.close()
        raise BindError(_why(path, error)) from None
    sock.setblocking(False)
    return sock


def inherited(number: int) -> socket.socket:
    """The socket behind a file descriptor that this process was started with."""
    try:
        sock = socket.socket(fileno=os.dup(number))
    except OSError as error:
        raise BindError(f"cannot listen on file descriptor {number}: {error.strerror}; it must be a socket") from None
    if sock.type != socket.SOCK_STREAM:
        sock.close()
        raise BindError(f"cannot listen on file descriptor {number}: it is no stream socket")
    sock.setblocking(False)
    return sock


def url(sock: socket.socket) -> str:
    """How a person reaches it."""
    name = sock.getsockname()
    if not isinstance(name, tuple):
        return f"unix:{os.fsdecode(name)}"
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"http://{host}:{name[1]}"


def path_of(sock: socket.socket) -> str:
    """Where a Unix socket stands; empty for all others."""
    return os.fsdecode(sock.getsockname()) if sock.family == getattr(socket, "AF_UNIX", None) else ""


def close(sock: socket.socket, path: str | None = None) -> None:
    """Close it; a Unix socket's path goes with it. One that was closed already has to be told its `path`."""
    path = path_of(sock) if path is None else path
    sock.close()
    if path:
        with contextlib.suppress(OSError):
            os.unlink(path)


def _clear_the_way(path: str) -> None:
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise BindError(f"cannot listen on {path}: there is a file of that name that is no socket")
    except FileNotFoundError:
        return
    except OSError as error:
        raise BindError(_why(path, error)) from None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except OSError:
            os.unlink(path)
            return
    raise BindError(f"cannot listen on {path}: another server is listening there")


def _why(where: str, error: OSError) -> str:
    hints = {
        errno.EADDRINUSE: "another program is listening there; stop it, or choose another port",
        errno.EACCES: "not permitted; ports below 1024 and foreign folders need privileges",
        errno.EADDRNOTAVAIL: "that address is not of this machine",
        errno.ENOENT: "the folder does not exist",
    }
    hint = hints.get(error.errno or 0)
    return f"cannot listen on {where}: {hint or error.strerror or error}"
