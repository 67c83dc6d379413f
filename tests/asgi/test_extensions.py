"""Trailers and early hints."""

from collections.abc import Callable
from typing import Any

import pytest

import portway
from portway.testing import Raw, Response, serve
from portway.types import ASGIApp, Receive, Scope, Send

Ask = Callable[..., Response]

GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
WILLING = b"GET / HTTP/1.1\r\nhost: a\r\nte: trailers\r\n\r\n"
OLD = b"GET / HTTP/1.0\r\nte: trailers\r\n\r\n"
OK = {"type": "http.response.start", "status": 200}
WITH_TRAILERS = OK | {"trailers": True}
DONE = {"type": "http.response.body", "body": b"ok"}
TRAILERS = {"type": "http.response.trailers", "headers": [(b"x-sum", b"1"), (b"x-sum", b"2")]}
HINT = "http.response.early_hint"


def sends(*messages: Any) -> ASGIApp:
    """An application that sends these."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return app


# --- trailers ---


@pytest.mark.parametrize("bodies", [[DONE], [DONE | {"more_body": True}, DONE], [{"type": "http.response.body"}]])
def test_trailers_follow_the_body(bodies: list[Any]) -> None:  # ASGI 25, 54
    app = sends(WITH_TRAILERS, *bodies, TRAILERS)
    with serve(app, lifespan="off") as served, Raw(served.host, served.port) as raw:
        for _ in range(2):
            response = raw.ask(WILLING)
            assert response.body == b"".join(body.get("body", b"") for body in bodies)
            assert response.header("transfer-encoding") == "chunked"
            assert response.trailers == [("x-sum", "1"), ("x-sum", "2")]


def test_the_response_is_not_over_before_its_trailers_are_sent(ask: Ask) -> None:  # ASGI 25
    order: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(WITH_TRAILERS)
        await send(DONE)
        order.append("body")
        with pytest.raises(portway.MessageError, match=r"http\.response\.trailers"):
            await send(DONE)
        await send(TRAILERS)
        order.append((await receive())["type"])

    response = ask(app, WILLING, lifespan="off")
    assert response.trailers == [("x-sum", "1"), ("x-sum", "2")]
    assert order == ["body", "http.disconnect"]


def test_a_response_without_its_trailers_is_cut_off(log: Any) -> None:  # ASGI 7, 25
    with serve(sends(WITH_TRAILERS, DONE), lifespan="off") as served, Raw(served.host, served.port) as raw:
        raw.send(WILLING)
        assert raw.rest().endswith(b"\r\n2\r\nok\r\n")
    assert "before its response was complete" in log.error


@pytest.mark.parametrize("request_", [GET, OLD], ids=["no TE", "HTTP/1.0"])
def test_a_client_that_did_not_ask_for_trailers_gets_none(request_: bytes) -> None:  # ASGI 54
    app = sends(WITH_TRAILERS, DONE | {"more_body": True}, DONE, TRAILERS)
    with serve(app, lifespan="off") as served, Raw(served.host, served.port) as raw:
        raw.send(request_.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
        assert b"x-sum" not in raw.rest()


@pytest.mark.parametrize(
    ("headers", "request_"),
    [([(b"content-length", b"2")], WILLING), ([], WILLING.replace(b"GET", b"HEAD"))],
    ids=["content-length", "HEAD"],
)
def test_where_nothing_can_carry_trailers_the_response_is_whole_without_them(  # ASGI 54
    headers: list[Any], request_: bytes
) -> None:
    app = sends(WITH_TRAILERS | {"headers": headers}, DONE, TRAILERS)
    with serve(app, lifespan="off") as served, Raw(served.host, served.port) as raw:
        for _ in range(2):
            raw.send(request_)
            response = raw.response(head_only=request_.startswith(b"HEAD"))
            assert (response.status, response.trailers) == (200, [])


@pytest.mark.parametrize("missing", [{}, {"headers": []}])
def test_trailers_may_be_empty(ask: Ask, missing: dict[str, Any]) -> None:  # ASGI 54
    app = sends(WITH_TRAILERS, DONE, {"type": "http.response.trailers"} | missing)
    response = ask(app, WILLING, lifespan="off")
    assert (response.body, response.trailers) == (b"ok", [])


@pytest.mark.parametrize(
    "pair",
    [
        (b":status", b"500"),
        (b"x", b"1\r\n\r\nHTTP/1.1 200 OK"),
        (b"x\r\n", b"1"),
        ("x", b"1"),
        (b"content-length", b"5"),
    ],
)
def test_what_has_no_place_in_trailers_is_refused_and_not_written(log: Any, pair: Any) -> None:  # ASGI 24, 54
    app = sends(WITH_TRAILERS, DONE, {"type": "http.response.trailers", "headers": [(b"x-a", b"1"), pair]})
    with serve(app, lifespan="off") as served, Raw(served.host, served.port) as raw:
        raw.send(WILLING)
        assert raw.rest().endswith(b"\r\n2\r\nok\r\n")
    assert "http.response.trailers: headers" in log.error


@pytest.mark.parametrize("name", [b"transfer-encoding", b"connection", b"keep-alive"])
def test_connection_specific_trailers_are_dropped(ask: Ask, name: bytes) -> None:  # ASGI 23, 54
    trailers = {"type": "http.response.trailers", "headers": [(name, b"chunked"), (b"x", b"1")]}
    assert ask(sends(WITH_TRAILERS, DONE, trailers), WILLING, lifespan="off").trailers == [("x", "1")]


def test_trailers_that_were_not_announced_come_out_of_order(ask: Ask) -> None:  # ASGI 5, 54
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(OK)
        await send(DONE)
        with pytest.raises(portway.MessageError):
            await send(TRAILERS)

    assert ask(app, WILLING, lifespan="off").trailers == []


# --- early hints ---


def test_each_early_hint_is_a_103_with_a_link_for_each_of_its_links() -> None:  # ASGI 55
    app = sends(
        {"type": HINT, "links": [b"</a.css>; rel=preload; as=style", b"</b.js>; rel=preload; as=script"]},
        {"type": HINT, "links": (b"</c.css>; rel=preload; as=style",)},
        OK,
        DONE,
    )
    with serve(app, lifespan="off") as served, Raw(served.host, served.port) as raw:
        for _ in range(2):
            raw.send(GET)
            first, second, last = raw.interim(), raw.interim(), raw.response()
            assert (first.status, first.reason, second.status) == (103, "Early Hints", 103)
            assert first.headers == [
                ("link", "</a.css>; rel=preload; as=style"),
                ("link", "</b.js>; rel=preload; as=script"),
            ]
            assert second.headers == [("link", "</c.css>; rel=preload; as=style")]
            assert (last.status, last.header("link"), last.body) == (200, None, b"ok")


def test_an_early_hint_is_on_the_wire_when_send_returns() -> None:  # ASGI 55
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": HINT, "links": [b"</a>"]})
        message = await receive()
        await send(OK)
        await send(DONE | {"body": message["body"]})

    with serve(app, lifespan="off") as served, Raw(served.host, served.port) as raw:
        raw.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n")
        assert raw.interim().status == 103
        assert raw.ask(b"hi").body == b"hi"


def test_an_old_client_gets_no_early_hint() -> None:  # ASGI 55
    app = sends({"type": HINT, "links": [b"</a>"]}, OK, DONE)
    with serve(app, lifespan="off") as served, Raw(served.host, served.port) as raw:
        raw.send(OLD)
        assert raw.interim().status == 200


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"type": HINT}, ["links", "missing"]),
        ({"type": HINT, "links": None}, ["links"]),
        ({"type": HINT, "links": 1}, ["links"]),
        ({"type": HINT, "links": b"</a>"}, ["links"]),
        ({"type": HINT, "links": ["</a>"]}, ["links", "bytes", "str"]),
        ({"type": HINT, "links": [b"</a>\r\nset-cookie: a=1"]}, ["links", "control"]),
        ({"type": HINT, "links": [b"</a>", b"</b>\n"]}, ["links", "control"]),
    ],
)
def test_a_wrong_early_hint_is_refused_and_nothing_of_it_is_written(  # ASGI 5, 24, 55
    log: Any, message: dict[str, Any], words: list[str]
) -> None:
    with serve(sends(message), lifespan="off") as served, Raw(served.host, served.port) as raw:
        raw.send(GET)
        assert raw.interim().status == 500
    assert [word for word in (HINT, *words) if word not in log.error] == []


def test_an_early_hint_after_the_start_comes_out_of_order(ask: Ask) -> None:  # ASGI 5, 55
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(OK)
        with pytest.raises(portway.MessageError, match="out of order"):
            await send({"type": HINT, "links": []})
        await send(DONE)

    assert ask(app, lifespan="off").status == 200
