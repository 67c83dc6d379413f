"""What people build, in Flask: a WSGI application, as one file."""

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flask import Flask, Response, jsonify, redirect, request, send_file, session
from werkzeug.wrappers import Response as AnyResponse

app = Flask(__name__)
app.secret_key = "a secret for tests"
left: list[str] = []


@app.get("/json")
def hello() -> dict[str, str]:
    return {"hello": request.args["name"], "from": "flask", "thread": threading.current_thread().name}


@app.post("/json")
def echo() -> Response:
    return jsonify(request.json)


@app.post("/upload")
def upload() -> dict[str, Any]:
    file = request.files["file"]
    digest = hashlib.sha256(file.stream.read())
    return {"note": request.form["note"], "name": file.filename, "sha256": digest.hexdigest()}


@app.post("/raw")
def raw() -> dict[str, Any]:
    """Read to the end, as far as Flask sees one."""
    return {"length": request.content_length or 0, "sha256": hashlib.sha256(request.get_data()).hexdigest()}


@app.post("/lines")
def lines() -> list[int]:
    return [len(line) for line in request.stream]


@app.get("/download")
def download() -> Response:
    pieces = (b"%07d\n" % number * 8192 for number in range(int(request.args["pieces"])))
    return Response(pieces, mimetype="text/plain")


@app.get("/file")
def file() -> Response:
    return send_file(Path(request.args["path"]), conditional=True)


@app.get("/visit")
def visit() -> dict[str, int]:
    session["visits"] = session.get("visits", 0) + 1
    return {"visits": session["visits"]}


@app.get("/cookies")
def cookies() -> Response:
    answer = jsonify(dict(request.cookies))
    answer.set_cookie("a", "1")
    answer.set_cookie("b", "2", httponly=True)
    return answer


@app.get("/redirect")
def to_json() -> AnyResponse:
    return redirect("/json?name=again")


@app.delete("/nothing")
def nothing() -> tuple[str, int]:
    return "", 204


@app.get("/error")
def error() -> str:
    raise ZeroDivisionError("on purpose")


@app.get("/broken")
def broken() -> Response:
    def pieces() -> Iterator[bytes]:
        yield b"the first"
        raise ZeroDivisionError("on purpose")

    return Response(pieces())


@app.get("/events")
def events() -> Response:
    key = request.args["key"]

    def ticks() -> Iterator[bytes]:
        try:
            while True:
                yield b"data: tick\n\n"
        finally:
            left.append(key)

    return Response(ticks(), mimetype="text/event-stream")


@app.get("/events/left")
def events_left() -> list[str]:
    return left
