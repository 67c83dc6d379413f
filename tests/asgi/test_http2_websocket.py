"""What the server owes an application whose WebSockets come by HTTP/2, where that differs from HTTP/1.1."""

from typing import Any

import pytest

from portway.types import ASGIApp, Receive, Scope, Send

ACCEPT = {"type": "websocket.accept"}
DENY = {"type": "websocket.http.response.start", "status": 401}
DENIED = {"type": "websocket.http.response.body", "body": b"ok"}
INTERNAL_ERROR = 2


def sends(*messages: Any) -> ASGIApp:
    """An application that sends these."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return app


def test_the_scope_of_a_websocket_is_that_of_the_specification(http2: Any) -> None:  # ASGI 45
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await send(ACCEPT)

    with http2(app) as client:
        stream = client.talk.connect("/a%20b?c=d", ("sec-websocket-protocol", "b, a"), ("x-y", "z"))
        client.flush()
        client.until(lambda: client.answers[stream].status)
    (scope,) = scopes
    assert {key: value for key, value in scope.items() if key not in ("client", "server")} == {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "2",
        "scheme": "ws",
        "path": "/a b",
        "raw_path": b"/a%20b",
        "query_string": b"c=d",
        "root_path": "",
        "headers": [
            (b"host", b"a"),
            (b"sec-websocket-version", b"13"),
            (b"sec-websocket-protocol", b"b, a"),
            (b"x-y", b"z"),
        ],
        "subprotocols": ["b", "a"],
        "extensions": {"websocket.http.response": {}},
    }


@pytest.mark.parametrize(
    ("messages", "status", "line"),
    [
        ([{"type": "websocket.close"}], 403, None),
        ([], 500, "WebSocket /: the application returned without a response"),
        ([DENY, DENIED], 401, None),
    ],
    ids=["close", "return", "denial"],
)
def test_a_websocket_that_is_not_accepted_is_answered(  # ASGI 34, 35, 46
    http2: Any, log: Any, messages: Any, status: int, line: str | None
) -> None:
    with http2(sends(*messages)) as client:
        for _ in range(2):
            stream = client.talk.connect()
            client.flush()
            assert (client.answer(stream).status, client.answer(stream).ended) == (status, True)
    assert log.errors == [line] * 2 if line else log.errors == []


@pytest.mark.parametrize("raises", [False, True])
def test_a_denial_that_breaks_off_resets_the_stream(http2: Any, log: Any, raises: bool) -> None:  # ASGI 46, 7
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(DENY)
        await send(DENIED | {"more_body": True})
        if raises:
            raise ZeroDivisionError

    with http2(app) as client:
        stream = client.talk.connect()
        client.flush()
        answer = client.answer(stream)
        assert (answer.status, answer.body, answer.ended, answer.code) == (401, b"ok", False, INTERNAL_ERROR)
    assert log.error.startswith("WebSocket /: the application ")


def test_an_accept_brings_its_headers_and_none_of_the_connection(http2: Any) -> None:  # ASGI 23, 36
    names = [b"connection", b"upgrade", b"transfer-encoding", b"content-length", b"keep-alive"]
    headers = [(b"X-B", b"1"), *[(name, b"1") for name in names], (b"x-a", b"2"), (b"set-cookie", b"c=d")]
    with http2(sends(ACCEPT | {"subprotocol": "b", "headers": iter(headers)})) as client:
        stream = client.talk.connect("/", ("sec-websocket-protocol", "a, b"))
        client.flush()
        client.until(lambda: client.answers[stream].status)
        answer = client.answers[stream]
        assert answer.status == 200
        assert [pair for pair in answer.headers if pair[0] not in ("date", "server")] == [
            ("sec-websocket-protocol", "b"),
            ("x-b", "1"),
            ("x-a", "2"),
            ("set-cookie", "c=d"),
        ]
