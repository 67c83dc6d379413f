"""WebSocket over a real socket, byte for byte: faults, sizes, compression, closes and pings."""

import select
import zlib
from collections.abc import Callable
from typing import Any

import pytest

LOOPS = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate"


# --- protocol faults (RFC 6455 §5, §7.4, §8.1) ---

F = {"fin": False}


def faults(frame: Callable[..., bytes]) -> dict[str, tuple[int, bytes]]:
    return {
        "a frame is not masked": (1002, frame(1, b"x", mask=b"")),
        "a reserved bit is set": (1002, frame(1, b"x", rsv=2)),
        "a frame is compressed, which was not agreed on": (1002, frame(1, b"x", rsv=4)),
        "a frame has a reserved opcode": (1002, frame(3, b"x")),
        "a control frame is fragmented": (1002, frame(9, b"x", fin=False)),
        "a control frame is larger than 125 bytes": (1002, frame(9, b"x" * 126)),
        "a continuation frame continues nothing": (1002, frame(0, b"x")),
        "a new message begins within another one": (1002, frame(1, b"x", fin=False) + frame(1, b"y")),
        "a text message is not UTF-8": (1007, frame(1, b"\xff")),
        "the size of a frame is not in its shortest form": (1002, b"\x82\xfe\x00\x01" + bytes(5)),
        "a frame has an impossible size": (1002, b"\x82\xff\x80" + bytes(11)),
        "a message is larger than is accepted here": (1009, frame(2, b"x" * 1001)),
        "a close frame has half a code": (1002, frame(8, b"\x03")),
        "a close frame has a code that must not be sent": (1002, frame(8, b"\x03\xed")),
        "the reason in a close frame is not UTF-8": (1007, frame(8, b"\x03\xe8\xff")),
    }


NAMES = list(faults(lambda *args, **rest: b""))


@LOOPS
@pytest.mark.parametrize("text", NAMES)
def test_a_fault_is_answered_with_its_code_told_and_logged_once(
    app: Any, peer: Any, caplog: pytest.LogCaptureFixture, loop: str, text: str
) -> None:
    with peer(app, loop=loop, ws_max_size=1000) as client:
        code, frames = faults(client.frame)[text]
        client.open()
        client.send(client.text("before"))
        assert client.message() == "before"
        client.send(frames + client.text("after"))
        assert client.closed() == (code, text)
        client.send(client.text("and after"))
        assert client.rest() == b""
    assert app.ends == [{"type": "websocket.disconnect", "code": code, "reason": text}]
    (line,) = [record.getMessage() for record in caplog.records if record.levelname in ("WARNING", "ERROR")]
    assert line.endswith(f": refused with {code}: {text}")


def test_a_fault_reaches_a_client_that_is_still_sending(app: Any, peer: Any) -> None:
    # A close with unread bytes would be a reset, and could take our close from the client's hands.
    with peer(app, ws_max_size=1000) as client:
        client.open()
        client.send(client.frame(client.BINARY, bytes(300_000)))
        assert client.closed() == (1009, "a message is larger than is accepted here")
        client.send(bytes(300_000))
        assert client.rest() == b""


def test_what_is_not_utf8_is_found_before_the_message_ends(app: Any, peer: Any) -> None:
    with peer(app) as client:
        client.open()
        client.send(client.frame(client.TEXT, b"\xc0\xaf", fin=False))
        assert client.closed() == (1007, "a text message is not UTF-8")


def test_a_fault_after_our_close_ends_the_connection(app: Any, peer: Any) -> None:
    with peer(app) as client:
        client.open(b"/bye")
        client.send(client.text("please"))
        assert client.closed() == (4000, "")
        client.send(client.text("not masked", mask=b""))
        assert client.rest() == b""
    assert [end["code"] for end in app.ends] == [1002]


# --- --ws-max-size ---


def test_a_message_of_just_the_largest_size_is_accepted(app: Any, peer: Any) -> None:
    with peer(app, ws_max_size=1000) as client:
        client.open()
        client.send(client.frame(client.BINARY, bytes(1000)))
        assert client.message() == bytes(1000)
        client.send(client.frame(client.TEXT, b"x" * 999, fin=False) + client.frame(client.CONTINUATION, b"x"))
        assert client.message() == "x" * 1000
        client.send(client.text("ä" * 501))
        assert client.closed() == (1009, "a message is larger than is accepted here")


@LOOPS
def test_messages_may_be_small_and_large_in_turn(app: Any, peer: Any, loop: str) -> None:
    """A tunnel is read into a buffer from the first large read on."""
    with peer(app, loop=loop) as client:
        client.open()
        for size in (5, 100, 70_000, 5, 300_000, 5):
            client.send(client.text("a" * size))
            assert client.message() == "a" * size


def test_fragments_that_become_too_large_are_refused(app: Any, peer: Any) -> None:
    with peer(app, ws_max_size=1000) as client:
        client.open()
        client.send(client.frame(client.BINARY, bytes(600), fin=False))
        client.send(client.frame(client.CONTINUATION, bytes(401), fin=False))
        assert client.closed() == (1009, "a message is larger than is accepted here")


def test_a_size_that_is_announced_is_refused_before_it_comes(app: Any, peer: Any) -> None:
    with peer(app) as client:
        client.open()
        client.send(client.frame(client.BINARY, bytes(65536))[:2] + (1 << 40).to_bytes(8, "big") + bytes(4))
        assert client.closed() == (1009, "a message is larger than is accepted here")


# --- permessage-deflate (RFC 7692) ---


def deflated(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-12)
    return (deflater.compress(data) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]


def test_large_messages_are_compressed_if_the_client_can(app: Any, peer: Any) -> None:
    text = b"a line that comes again and again\n" * 200
    with peer(app) as client:
        answer = client.open(b"/", DEFLATE)
        assert answer.header("sec-websocket-extensions").startswith("permessage-deflate")
        inflater = zlib.decompressobj(wbits=-15)
        for _ in range(3):
            client.send(client.frame(client.TEXT, deflated(text), rsv=4) if _ == 0 else client.text(text.decode()))
            first, payload = client.read()
            assert first == 0xC1
            assert len(payload) < len(text) / 10
            assert inflater.decompress(payload + b"\0\0\xff\xff") == text
        client.send(client.text("small"))
        assert client.message() == "small"


def test_nothing_is_compressed_if_it_is_not_wanted(app: Any, peer: Any) -> None:
    with peer(app, ws_per_message_deflate=False) as client:
        assert client.open(b"/", DEFLATE).header("sec-websocket-extensions") is None
        client.send(client.text("x" * 10_000))
        assert client.message() == "x" * 10_000
        client.send(client.frame(client.TEXT, deflated(b"x"), rsv=4))
        assert client.closed() == (1002, "a frame is compressed, which was not agreed on")


@pytest.mark.parametrize("fragments", [1, 5])
def test_a_bomb_does_not_go_off(app: Any, peer: Any, fragments: int) -> None:
    bomb = deflated(bytes(100_000_000))
    with peer(app, ws_max_size=1_000_000) as client:
        client.open(b"/", DEFLATE)
        size = len(bomb) // fragments
        for number in range(fragments):
            part = bomb[number * size :] if number == fragments - 1 else bomb[number * size : (number + 1) * size]
            rest = {"fin": number == fragments - 1, "rsv": 0 if number else 4}
            client.send(client.frame(client.CONTINUATION if number else client.BINARY, part, **rest))
        assert client.closed() == (1009, "a message is larger than is accepted here")
    assert [end["code"] for end in app.ends] == [1009]


# --- closing ---


@LOOPS
def test_their_close_is_answered_and_tcp_closed(app: Any, peer: Any, loop: str) -> None:
    with peer(app, loop=loop) as client:
        client.open()
        client.send(client.closing(1001, "bye"))
        assert client.closed() == (1001, "")
        assert client.rest() == b""  # RFC 6455 §7.1.1: the server closes first


@LOOPS
def test_our_close_is_waited_for_and_tcp_closed(app: Any, peer: Any, loop: str) -> None:
    with peer(app, loop=loop) as client:
        client.open(b"/bye")
        client.send(client.text("please"))
        assert client.closed() == (4000, "")
        client.send(client.text("still on its way") + client.frame(client.PING, b"?"))
        assert not client.answered()
        client.send(client.closing(4000))
        assert client.rest() == b""  # neither a pong: RFC 6455 §5.5.1, nothing follows our close
    assert app.ends == [{"type": "websocket.disconnect", "code": 4000, "reason": ""}]


def test_closes_that_cross_each_other_end_the_connection(app: Any, peer: Any) -> None:
    with peer(app) as client:
        client.open(b"/bye")
        client.send(client.text("please") + client.closing(1001))
        assert client.closed()[0] in (1001, 4000)
        assert client.rest() == b""


@LOOPS
def test_a_client_that_half_closes_after_the_closes_is_no_fault(app: Any, peer: Any, loop: str) -> None:
    with peer(app, loop=loop) as client:
        client.open()
        client.send(client.text("last") + client.closing())
        client.half_close()
        frames = [client.read()]
        if frames[0][0] == 0x81:
            frames.append(client.read())
        assert frames[-1] == (0x88, b"\x03\xe8")
        assert client.rest() == b""
    assert app.ends in ([{"type": "websocket.disconnect", "code": 1000, "reason": ""}], [])


@LOOPS
def test_a_client_that_half_closes_without_a_close_is_lost(app: Any, peer: Any, loop: str) -> None:
    with peer(app, loop=loop) as client:
        client.open()
        client.send(client.text("last"))
        assert client.message() == "last"
        client.half_close()
        assert client.rest() == b""
    assert app.ends == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]


@LOOPS
def test_what_came_before_the_loss_is_told_first(app: Any, peer: Any, loop: str) -> None:
    with peer(app, loop=loop) as client:
        client.open(b"/hold")
        assert app.entered.wait(10)
        client.send(b"".join(client.text(str(number)) for number in range(20)))
        client.half_close()
        assert client.rest() == b""
        app.go.set()
        assert app.ended.wait(10)
    assert app.held == [str(number) for number in range(20)]
    assert app.ends == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]


# --- pings ---


@LOOPS
def test_a_peer_that_sends_anything_is_alive(app: Any, peer: Any, loop: str) -> None:
    with peer(app, loop=loop, ws_ping_interval=0.1, ws_ping_timeout=0.3) as client:
        client.open()
        whole = client.text("a message in pieces")
        for answer in (client.frame(client.PONG), client.text("hello"), whole[:9], whole[9:], client.frame(0xA, b"x")):
            while True:
                first, _ = client.read()
                if first == 0x89:
                    break
            client.send(answer)
        client.send(client.closing(1001))
        while client.read()[0] != 0x88:
            pass
    assert [end["code"] for end in app.ends] == [1001]


@LOOPS
def test_a_peer_that_answers_no_ping_is_reset(app: Any, peer: Any, caplog: pytest.LogCaptureFixture, loop: str) -> None:
    caplog.set_level("INFO", "portway")
    with peer(app, loop=loop, ws_ping_interval=0.1, ws_ping_timeout=0.1) as client:
        client.open()
        poll = select.poll()
        poll.register(client.socket, select.POLLERR)
        assert poll.poll(10_000), "the connection was not reset"
    assert [end["code"] for end in app.ends] == [1006]
    (line,) = [record.getMessage() for record in caplog.records if "127.0.0.1:" in record.getMessage()][-1:]
    assert line.endswith(": connection closed: no answer came to a ping")


def test_no_interval_is_no_ping(app: Any, peer: Any) -> None:
    with peer(app, ws_ping_interval=0, timeout_request_head=0.1, timeout_keep_alive=0.1) as client:
        client.open()
        client.socket.settimeout(1)  # in which any other deadline would have passed
        with pytest.raises(TimeoutError):
            client.read()
        client.send(client.text("still there"))
        assert client.message() == "still there"
