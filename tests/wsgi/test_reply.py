"""What an application answers: start_response, pieces, and what a client sees of them (PEP 3333, ASGI 59)."""

import re
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.errors import WSGIError
from portway.testing import Raw
from portway.wsgi.reply import ANY, Reply

Fetch = Callable[..., Any]
Environ = dict[str, Any]

GET = b"GET /a%0Ab HTTP/1.1\r\nhost: a\r\n\r\n"
PLAIN = [("Content-Type", "text/plain")]
ERROR = b"Internal Server Error\n"


class Oops(Exception):
    """What these applications raise."""


def gives(*pieces: bytes, status: str = "200 OK", headers: Any = PLAIN) -> Any:
    """An application that answers with these."""

    def app(environ: Environ, start_response: Any) -> Any:
        start_response(status, headers)
        return list(pieces)

    return app


class Closing:
    """An iterable that counts how often it was closed."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.pieces = pieces
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return self.pieces

    def close(self) -> None:
        self.closed += 1


# --- the head ---


def test_a_head_goes_out_as_it_was_given(wsgi: Any, fetch: Fetch) -> None:
    headers = [("X-A", "1"), ("Set-Cookie", "a=1"), ("x-b", ""), ("Set-Cookie", "b=2")]
    with wsgi(gives(b"ok", status="201 Made", headers=headers)) as served:
        seen = fetch(served)
    assert (seen.status, seen.body, seen.cut) == (201, b"ok", False)
    pairs = [(name, value) for name, value in seen.headers if name in ("x-a", "x-b", "set-cookie")]
    assert pairs == [("x-a", "1"), ("set-cookie", "a=1"), ("x-b", ""), ("set-cookie", "b=2")]


def test_values_are_latin_1(wsgi: Any, fetch: Fetch) -> None:  # PEP 3333, "Unicode Issues"
    with wsgi(gives(b"ok", headers=[("x-a", "caf\xe9 \xff")])) as served:
        assert fetch(served).header("x-a") == "caf\xe9 \xff"


@pytest.mark.parametrize(
    ("status", "headers", "text"),
    [
        ("200 OK", [("x", "a\r\nset-cookie: b")], "the value of x has a control character"),
        ("200 OK", [("x", "a\nb")], "the value of x has a control character"),
        ("200 OK", [("x", "a\x00b")], "the value of x has a control character"),
        ("200 OK", [("x\r\ny", "a")], "is no name of a header"),
        ("200 OK", [("x y", "a")], "is no name of a header"),
        ("200 OK", [("", "a")], "is no name of a header"),
        ("200 OK", [("x:", "a")], "is no name of a header"),
        ("200 OK", [("\xe9", "a")], "is no name of a header"),
        ("200 OK", [("x", "\u20ac")], "the value of x must be latin-1"),
        ("200 OK", [("x", b"a")], "the value of x must be a str"),
        ("200 OK", [("x", 1)], "the value of x must be a str"),
        ("200 OK", [(b"x", "a")], "is no name of a header"),
        ("200 OK", [("x", "a", "b")], "a header must be a pair of str"),
        ("200 OK", {"x": "a"}, "headers must be a list of pairs"),
        ("200 OK", None, "headers must be a list of pairs"),
        ("200 OK", [("content-length", "1"), ("content-length", "2")], "there are two Content-Length headers, 1 and 2"),
        ("200 OK", [("content-length", "many")], "Content-Length must be a number"),
        ("200 OK", [("content-length", "-1")], "Content-Length must be a number"),
        ("200 OK", [("content-length", "")], "Content-Length must be a number"),
        (200, [], "status must be a str"),
        (b"200 OK", [], "status must be a str"),
        ("OK", [], "status must begin with three digits"),
        ("", [], "status must begin with three digits"),
        ("20", [], "status must begin with three digits"),
        ("2000", [], "status must begin with three digits"),
        ("\u0662\u0660\u0660 OK", [], "status must begin with three digits"),
        ("100 Continue", [], "status must be a final one"),
        ("101 Switching Protocols", [], "status must be a final one"),
    ],
)
def test_a_head_that_cannot_be_is_refused_and_nothing_of_it_goes_out(
    status: Any, headers: Any, text: str, ask: Any, log: Any, mode: str
) -> None:
    if mode == "inline" or "control" in text:  # what is refused is the same in either way
        response = ask(gives(b"ok", status=status, headers=headers), GET)
        assert (response.status, response.body) == (500, ERROR)
        assert response.header("set-cookie") is None
        assert log.error.startswith("GET /a%0Ab: wrong WSGI response: start_response: ")
        assert text in log.error
        assert __file__ in log.error


def test_a_line_break_in_the_reason_injects_nothing(wsgi: Any) -> None:
    app = gives(b"ok", status="200 OK\r\nx-forged: 1")
    with wsgi(app) as served, Raw(served.host, served.port) as raw:
        assert raw.ask(GET).header("x-forged") is None


def test_what_belongs_to_the_connection_is_dropped(wsgi: Any, fetch: Fetch, log: Any) -> None:  # PEP 3333
    theirs = [
        ("Connection", "keep-alive"), ("Keep-Alive", "timeout=5"), ("Transfer-Encoding", "chunked"), ("TE", "trailers"),
        ("Upgrade", "h2c"), ("Proxy-Connection", "close"), ("Trailer", "x"), ("X-A", "1"),
    ]  # fmt: skip
    with wsgi(gives(b"ok", headers=theirs)) as served:
        seen = fetch(served)
    assert seen.body == b"ok"
    assert seen.header("x-a") == "1"
    found = {"keep-alive", "te", "upgrade", "proxy-connection", "trailer"} & {name for name, _ in seen.headers}
    assert not found
    assert log.errors == []


def test_an_application_may_close_the_connection(wsgi: Any) -> None:
    with (
        wsgi(gives(b"ok", headers=[("Connection", "Close"), ("content-length", "2")])) as served,
        Raw(served.host, served.port) as raw,
    ):
        assert raw.ask(GET).header("connection") == "close"
        assert raw.rest() == b""


def test_a_length_that_is_said_twice_is_said_once(wsgi: Any, fetch: Fetch) -> None:
    with wsgi(gives(b"ok", headers=[("content-length", "2"), ("Content-Length", "2")])) as served:
        seen = fetch(served)
    assert (seen.status, seen.header("content-length"), seen.body) == (200, "2", b"ok")


def test_headers_may_be_any_iterable_of_pairs(ask: Any) -> None:  # as Django before 2.2, and Falcon, give them
    assert ask(gives(b"ok", headers=(("x-a", "1"), ["x-b", "2"]))).header("x-b") == "2"
    assert ask(gives(b"ok", headers={"x-a": "1"}.items())).header("x-a") == "1"


def test_a_list_of_headers_that_is_changed_afterwards_changes_nothing(ask: Any) -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        headers = [("x-a", "1")]
        start_response("200 OK", headers)
        headers.append(("x-b", "2"))
        return [b"ok"]

    assert ask(app).header("x-b") is None


# --- when the head goes out ---


def test_the_head_is_held_until_the_first_piece_that_is_not_empty(ask: Any) -> None:  # PEP 3333, ASGI 26
    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("x-a", "1")])
        yield b""
        yield b""
        try:
            raise Oops
        except Oops:
            start_response("503 Sorry", [("x-b", "2")], sys.exc_info())
        yield b"sorry"

    response = ask(app)
    assert (response.status, response.header("x-a"), response.header("x-b")) == (503, None, "2")
    assert response.body == b"sorry"


def test_an_error_before_the_first_piece_is_a_clean_500(ask: Any, log: Any) -> None:
    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("set-cookie", "a=1"), ("content-length", "99")])
        yield b""
        raise Oops("oh")

    response = ask(app, GET)
    assert (response.status, response.header("set-cookie"), response.body) == (500, None, ERROR)
    assert log.error.startswith("GET /a%0Ab: the application raised Oops\n")
    assert re.findall(r'File "([^"]+)"', log.error)[-1] == __file__


def test_an_error_is_logged_with_its_cause(ask: Any, log: Any) -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        try:
            raise KeyError("the cause")
        except KeyError as cause:
            raise Oops("oh") from cause

    assert ask(app).status == 500
    assert "the cause" in log.error
    assert "direct cause" in log.error


@pytest.mark.parametrize("error", [Oops("oh"), SystemExit(3), KeyboardInterrupt(), StopIteration(), GeneratorExit()])
def test_whatever_an_application_raises_is_a_500_and_no_end_of_the_server(
    wsgi: Any, log: Any, error: BaseException
) -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/good":
            start_response("200 OK", PLAIN)
            return [b"ok"]
        raise error

    with wsgi(app) as served:
        for _ in range(6):  # more than there are threads
            with Raw(served.host, served.port) as raw:
                assert raw.ask(GET).status == 500
        with Raw(served.host, served.port) as raw:
            assert raw.ask(GET.replace(b"/a%0Ab", b"/good")).body == b"ok"
    assert len(log.errors) == 6
    assert type(error).__name__ in log.errors[0]


def test_exc_info_after_output_aborts(wsgi: Any, fetch: Fetch, log: Any) -> None:  # PEP 3333, "Error Handling"
    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", PLAIN)
        yield b"part"
        try:
            raise Oops("oh")
        except Oops:
            start_response("500 Oh", PLAIN, sys.exc_info())
        yield b"never"

    with wsgi(app) as served:
        seen = fetch(served, path="/a%0Ab")
    assert (seen.status, seen.body, seen.cut) == (200, b"part", True)
    assert log.error.startswith("GET /a%0Ab: the application raised Oops\n")


def test_exc_info_replaces_a_head_and_its_length(wsgi: Any, fetch: Fetch) -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("content-length", "100")])
        try:
            raise Oops
        except Oops:
            start_response("500 Oh", [("content-length", "5")], sys.exc_info())
        return [b"sorry"]

    with wsgi(app) as served:
        seen = fetch(served)
    assert (seen.status, seen.header("content-length"), seen.body, seen.cut) == (500, "5", b"sorry", False)


def test_exc_info_may_come_with_the_first_head(ask: Any) -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        try:
            raise Oops
        except Oops:
            start_response("404 Gone", PLAIN, sys.exc_info())
        return [b"gone"]

    assert ask(app).status == 404


@pytest.mark.parametrize("exc_info", [(), (None,)])
def test_a_second_head_without_an_error_is_refused(ask: Any, log: Any, exc_info: tuple[None, ...]) -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        start_response("200 OK", PLAIN)
        start_response("200 OK", PLAIN, *exc_info)
        return [b"ok"]

    response = ask(app)
    assert (response.status, response.body) == (500, ERROR)
    assert "start_response was called a second time, without exc_info" in log.error


def test_after_a_head_that_was_refused_another_may_be_given(ask: Any) -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        try:
            start_response("200 OK", [("x", "\u20ac")])
        except WSGIError:
            start_response("500 Oh", PLAIN)
        return [b"sorry"]

    assert ask(app).body == b"sorry"


def test_start_response_may_be_called_inside_the_generator(wsgi: Any, fetch: Fetch) -> None:  # PEP 3333
    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        yield b""
        start_response("202 OK", PLAIN)
        yield b"a"
        yield b"b"

    with wsgi(app) as served:
        seen = fetch(served)
    assert (seen.status, seen.body) == (202, b"ab")


def test_content_before_the_head_is_refused(ask: Any, log: Any) -> None:
    response = ask(lambda environ, start_response: [b"ok"])
    assert (response.status, response.body) == (500, ERROR)
    assert "content before it called start_response" in log.error


@pytest.mark.parametrize("result", [[], [b""], (b"" for _ in range(3))])
def test_an_application_that_never_gives_a_head_is_told(ask: Any, log: Any, result: Any) -> None:
    assert ask(lambda environ, start_response: result).status == 500
    assert "returned and never called start_response" in log.error


# --- content ---


@pytest.mark.parametrize("pieces", [[b"hello"], [b"he", b"llo"], [b"", b"he", b"", b"llo", b""]])
@pytest.mark.parametrize("kind", [list, tuple, iter])
@pytest.mark.parametrize("headers", [[], [("content-length", "5")]])
def test_all_pieces_come_in_order(wsgi: Any, fetch: Fetch, pieces: Any, kind: Any, headers: Any) -> None:
    def app(environ: Environ, start_response: Any) -> Any:
        start_response("200 OK", headers)
        return kind(pieces)

    with wsgi(app) as served:
        seen = fetch(served)
    assert (seen.body, seen.cut) == (b"hello", False)


def test_each_piece_goes_out_before_the_next_is_made(wsgi: Any, log: Any) -> None:  # PEP 3333, "must not delay"
    # The client asks for the next piece only when it has the one before.
    with wsgi(lockstep := Lockstep()) as served, Raw(served.host, served.port) as raw:
        raw.send(GET)
        raw.until(b"\r\n\r\n")
        for number in range(5):
            assert raw.until(b"%d\r\n" % number)
            lockstep.next()
        assert raw.until(b"0\r\n\r\n")
    assert log.errors == []


class Lockstep:
    """Gives as many pieces as the client asked for: as the loop runs it, it gives empty ones while it waits."""

    def __init__(self) -> None:
        self.allowed = 1

    def next(self) -> None:
        self.allowed += 1

    def __call__(self, environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", PLAIN)
        for number in range(5):
            while number >= self.allowed:
                yield b""
            yield b"%d" % number


def test_an_answer_in_one_piece_has_a_length(wsgi: Any, fetch: Fetch) -> None:  # PEP 3333, "Content-Length Header"
    with wsgi(gives(b"hello")) as served:
        assert fetch(served).header("content-length") == "5"


@pytest.mark.parametrize("pieces", [[], [b""], [b"", b""]])
def test_an_empty_answer_is_whole(wsgi: Any, fetch: Fetch, pieces: list[bytes]) -> None:
    with wsgi(gives(*pieces)) as served:
        seen = fetch(served)
    assert (seen.status, seen.body, seen.cut) == (200, b"", False)


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
@pytest.mark.parametrize("pieces", [[], [b""], [b"what nobody reads"], [b"a", b"b"]])
def test_what_has_no_content_has_none(wsgi: Any, status: str, pieces: list[bytes], log: Any) -> None:  # ASGI 30
    with wsgi(gives(*pieces, status=status)) as served, Raw(served.host, served.port) as raw:
        for _ in range(2):
            assert raw.ask(GET).status == int(status[:3])
    assert log.errors == []


@pytest.mark.parametrize("headers", [[], [("content-length", "5")], [("content-length", "99")]])
@pytest.mark.parametrize("pieces", [[], [b"hello"], [b"he", b"llo"]])
def test_head_has_the_head_alone(wsgi: Any, fetch: Fetch, headers: Any, pieces: list[bytes], log: Any) -> None:
    with wsgi(gives(*pieces, headers=headers)) as served:
        seen = fetch(served, method="HEAD")
    assert (seen.status, seen.body, seen.cut) == (200, b"", False)
    if headers:
        assert seen.header("content-length") == headers[0][1]
    assert log.errors == []


def test_head_does_not_run_an_endless_iterable(wsgi: Any, fetch: Fetch) -> None:
    def app(environ: Environ, start_response: Any) -> Any:
        start_response("200 OK", PLAIN)
        return endless

    endless = Closing(iter(lambda: b"x", b""))
    with wsgi(app) as served:
        assert fetch(served, method="HEAD").status == 200
    assert endless.closed == 1


@pytest.mark.parametrize("pieces", [[b"hell"], [b"he", b"ll"]])
def test_too_few_bytes_abort(wsgi: Any, fetch: Fetch, pieces: list[bytes], log: Any) -> None:  # ASGI 27
    with wsgi(gives(*pieces, headers=[("content-length", "5")])) as served:
        seen = fetch(served)
    assert seen.cut
    assert seen.body == b"".join(pieces)
    assert f"ended {5 - len(b''.join(pieces))} bytes short of its content-length, which says 5" in log.error


@pytest.mark.parametrize(
    "pieces", [[b"hello world"], [b"hel", b"lo world"], [b"hello", b" world"], [b"hello", b"", b" world"]]
)
def test_too_many_bytes_are_cut_and_logged(wsgi: Any, pieces: list[bytes], log: Any) -> None:
    app = gives(*pieces, headers=[("content-length", "5")])
    with wsgi(app) as served, Raw(served.host, served.port) as raw:
        for _ in range(2):  # and the connection lives
            assert raw.ask(GET).body == b"hello"
    assert log.errors == ["GET /a%0Ab: 6 bytes were left out: the response declares a content-length of 5"] * 2


def test_an_iterable_is_left_when_no_more_can_be_sent(wsgi: Any, fetch: Fetch, log: Any) -> None:  # PEP 3333
    def app(environ: Environ, start_response: Any) -> Any:
        start_response("200 OK", [("content-length", "5")])
        return endless

    endless = Closing(iter(lambda: b"x", b""))
    with wsgi(app) as served:
        assert fetch(served).body == b"xxxxx"
    assert endless.closed == 1
    assert "left out" in log.error


def test_a_length_of_nothing_is_whole_at_once(wsgi: Any, fetch: Fetch, log: Any) -> None:
    for pieces in ([], [b""], iter([b"", b""])):
        with wsgi(gives(*pieces, headers=[("content-length", "0")])) as served:
            seen = fetch(served)
        assert (seen.status, seen.body, seen.cut) == (200, b"", False)
    assert log.errors == []


@pytest.mark.parametrize("piece", [bytearray(b"hello"), memoryview(b"hello")])
def test_what_is_as_good_as_bytes_is_taken(ask: Any, piece: Any) -> None:
    assert ask(gives(piece)).body == b"hello"


@pytest.mark.parametrize(
    ("result", "found"),
    [(["hello"], "a str: 'hello'"), ("hello", "a str: 'h'"), (b"hello", "a int: 104"), ([None], "a NoneType: None")],
)
def test_what_is_not_bytes_is_refused_clearly(ask: Any, log: Any, result: Any, found: str) -> None:
    def app(environ: Environ, start_response: Any) -> Any:
        start_response("200 OK", PLAIN)
        return result

    response = ask(app, GET)
    assert (response.status, response.body) == (500, ERROR)
    assert log.error.startswith("GET /a%0Ab: wrong WSGI response: content must be bytes, and the application gave ")
    assert found in log.error


def test_a_str_after_the_first_piece_aborts(wsgi: Any, fetch: Fetch, log: Any) -> None:
    with wsgi(gives(b"a", "b")) as served:  # type: ignore[arg-type]
        assert fetch(served).cut
    assert "content must be bytes" in log.error


# --- write ---


def test_what_is_written_comes_before_what_is_returned(wsgi: Any, fetch: Fetch) -> None:  # PEP 3333, "write()"
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        write = start_response("200 OK", PLAIN)
        write(b"a")
        write(b"")
        write(b"b")
        return [b"c", b"d"]

    with wsgi(app) as served:
        assert fetch(served).body == b"abcd"


@pytest.mark.parametrize("rest", [[], None, [b""]])
def test_all_of_it_may_be_written(wsgi: Any, fetch: Fetch, rest: Any) -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("content-length", "5")])(b"hello")
        return rest or []

    with wsgi(app) as served:
        seen = fetch(served)
    assert (seen.body, seen.cut) == (b"hello", False)


def test_after_write_the_head_is_final(wsgi: Any, fetch: Fetch, log: Any, mode: str) -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        start_response("200 OK", PLAIN)(b"a")
        try:
            raise Oops("oh")
        except Oops:
            start_response("500 Oh", PLAIN, sys.exc_info())
        return []

    with wsgi(app) as served:
        seen = fetch(served)
    # On the loop nothing of what was written has gone out before the application returns.
    assert (seen.status, seen.cut) == ((200, True) if mode == "threads" else (500, False))
    assert "raised Oops" in log.error


def test_write_refuses_what_is_not_bytes(ask: Any, log: Any) -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        start_response("200 OK", PLAIN)("a")
        return []

    assert ask(app).status == 500
    assert "content must be bytes, and the application gave a str" in log.error


def test_writing_too_much_is_cut_and_logged(wsgi: Any, fetch: Fetch, log: Any) -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [("content-length", "5")])
        write(b"hello ")
        write(b"world")
        return []

    with wsgi(app) as served:
        assert fetch(served).body == b"hello"
    assert log.error == "GET /: 6 bytes were left out: the response declares a content-length of 5"


# --- close ---


@pytest.mark.parametrize("after", [0, 1, 3])
def test_an_error_in_the_iterable_aborts_and_closes(wsgi: Any, fetch: Fetch, log: Any, after: int) -> None:
    def pieces() -> Iterator[bytes]:
        yield from [b"x"] * after
        raise Oops("oh")

    def app(environ: Environ, start_response: Any) -> Any:
        start_response("200 OK", PLAIN)
        return result

    result = Closing(pieces())
    with wsgi(app) as served:
        seen = fetch(served)
    assert (seen.status, seen.cut) == ((200, True) if after else (500, False))
    if after:
        assert seen.body == b"x" * after
    assert result.closed == 1
    assert "raised Oops" in log.error


@pytest.mark.parametrize("pieces", [[b"ok"], [b"o", b"k"], []])
@pytest.mark.parametrize("headers", [PLAIN, [("content-length", "2")]])
def test_an_error_in_close_hurts_no_response_that_is_whole(
    wsgi: Any, fetch: Fetch, log: Any, pieces: list[bytes], headers: Any
) -> None:
    class Failing(Closing):
        def close(self) -> None:
            super().close()
            raise Oops("oh")

    def app(environ: Environ, start_response: Any) -> Any:
        start_response("200 OK" if pieces else "304 Not Modified", headers)
        return result

    result = Failing(iter(pieces))
    with wsgi(app) as served:
        seen = fetch(served)
    assert (seen.status, seen.body, seen.cut) == (200 if pieces else 304, b"".join(pieces), False)
    assert result.closed == 1
    assert "raised Oops" in log.error


def test_an_error_after_all_that_was_declared_hurts_no_response(wsgi: Any, fetch: Fetch, log: Any) -> None:
    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("content-length", "2")])
        yield b"o"
        yield b"k"
        raise Oops("oh")

    with wsgi(app) as served:
        seen = fetch(served)
    assert (seen.status, seen.body, seen.cut) == (200, b"ok", False)
    assert "raised Oops" in log.error


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("status", ["200 OK", "204 No Content"])
def test_close_is_called_once(wsgi: Any, fetch: Fetch, method: str, status: str) -> None:
    results: list[Closing] = []

    def app(environ: Environ, start_response: Any) -> Any:
        start_response(status, PLAIN)
        results.append(Closing(iter([b"a", b"b"])))
        return results[-1]

    with wsgi(app) as served:
        fetch(served, method=method)
    assert [each.closed for each in results] == [1]


def test_an_iterable_is_closed_that_cannot_be_iterated(ask: Any, log: Any) -> None:
    class Broken:
        closed = 0

        def __iter__(self) -> Iterator[bytes]:
            raise Oops("oh")

        def close(self) -> None:
            self.closed += 1

    def app(environ: Environ, start_response: Any) -> Any:
        start_response("200 OK", PLAIN)
        return broken

    broken = Broken()
    assert ask(app).status == 500
    assert broken.closed == 1
    assert "Oops" in log.error


def test_none_is_no_answer(ask: Any, log: Any) -> None:
    def app(environ: Environ, start_response: Any) -> None:
        start_response("200 OK", PLAIN)

    assert ask(app).status == 500
    assert "NoneType" in log.error


# --- the object alone ---


@given(st.integers(0, 30), st.lists(st.binary(max_size=6), max_size=10), st.booleans())
def test_no_more_goes_out_than_is_declared(declared: int, pieces: list[bytes], written: bool) -> None:  # ASGI 27
    out: list[bytes] = []
    reply = Reply("GET", out.append)
    write = reply.start_response("200 OK", [("content-length", str(declared))])
    for piece in pieces:
        if written:
            write(piece)
        else:
            out.append(reply.piece(piece))
    content = b"".join(pieces)
    assert b"".join(out) == content[:declared]
    assert reply.surplus == max(0, len(content) - declared)
    assert reply.left == max(0, declared - len(content))
    if len(content) < declared:
        with pytest.raises(WSGIError, match="short of its content-length"):
            reply.end()
    else:
        reply.end()
        assert reply.whole


@given(st.text(max_size=12))
def test_a_value_that_passes_has_no_break_in_it(value: str) -> None:
    reply = Reply("GET", print)
    try:
        reply.start_response("200 OK", [("x", value)])
    except WSGIError:
        assert re.search(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]", value)
    else:
        assert reply.headers == [(b"x", value.strip(" \t").encode("latin-1"))]
        assert reply.left == ANY


def test_long_names_are_not_kept() -> None:
    tracemalloc.start()
    try:
        for number in range(600):
            Reply("GET", print).start_response("200 OK", [(f"x-{number}-" + "a" * 30_000, "1")])
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000
