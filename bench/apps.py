"""The applications that every server serves, bare ASGI, one for each row of the table.

They refuse lifespan by raising, as the specification lets an application do that does not know it.
"""

HELLO = b"Hello, World!"
LARGE = b"0123456789abcdef" * (100 * 1024 // 16)
PIECE = b"x" * 64
PIECES = 20


def start(content_type: bytes, length: int | None = None) -> dict:
    headers = [(b"content-type", content_type)]
    if length is not None:
        headers.append((b"content-length", b"%d" % length))
    return {"type": "http.response.start", "status": 200, "headers": headers}


HELLO_START = start(b"text/plain", len(HELLO))
HELLO_BODY = {"type": "http.response.body", "body": HELLO}
LARGE_START = start(b"application/octet-stream", len(LARGE))
LARGE_BODY = {"type": "http.response.body", "body": LARGE}
STREAM_START = start(b"text/plain")
STREAM_BODY = {"type": "http.response.body", "body": PIECE, "more_body": True}
STREAM_END = {"type": "http.response.body"}


def refuse(scope):
    raise NotImplementedError(f"this application does not know the scope {scope['type']!r}")


async def hello(scope, receive, send):
    """Reads nothing and answers 13 bytes."""
    if scope["type"] != "http":
        refuse(scope)
    await send(HELLO_START)
    await send(HELLO_BODY)


async def echo(scope, receive, send):
    """Reads the whole body and sends it back."""
    if scope["type"] != "http":
        refuse(scope)
    pieces = []
    more = True
    while more:
        message = await receive()
        pieces.append(message.get("body", b""))
        more = message.get("more_body", False)
    body = b"".join(pieces)
    await send(start(b"application/octet-stream", len(body)))
    await send({"type": "http.response.body", "body": body})


async def large(scope, receive, send):
    """Answers 100 KiB in one piece."""
    if scope["type"] != "http":
        refuse(scope)
    await send(LARGE_START)
    await send(LARGE_BODY)


async def stream(scope, receive, send):
    """Answers 20 pieces of unknown total length."""
    if scope["type"] != "http":
        refuse(scope)
    await send(STREAM_START)
    for _ in range(PIECES):
        await send(STREAM_BODY)
    await send(STREAM_END)


async def ws_echo(scope, receive, send):
    """Sends each message back as what it came, text or bytes."""
    if scope["type"] != "websocket":
        refuse(scope)
    await receive()  # websocket.connect
    await send({"type": "websocket.accept"})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        text = message.get("text")
        if text is not None:
            await send({"type": "websocket.send", "text": text})
        else:
            await send({"type": "websocket.send", "bytes": message["bytes"]})
