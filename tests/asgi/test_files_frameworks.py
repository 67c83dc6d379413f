"""Files of Starlette and FastAPI, which ask for `http.response.pathsend` where it is offered."""

import hashlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fastapi
import httpx
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from portway.testing import serve

pytestmark = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])

SIZE = 50 * 1024 * 1024
NAME = "large.bin"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """With a file of 50 MiB in it."""
    folder = tmp_path_factory.mktemp("files")
    (folder / NAME).write_bytes(random.Random(1).randbytes(SIZE))
    (folder / "small.txt").write_text("small\n" * 100)
    yield folder
    (folder / NAME).unlink()


@pytest.fixture(scope="module")
def digest(folder: Path) -> str:
    return hashlib.sha256((folder / NAME).read_bytes()).hexdigest()


def on_starlette(folder: Path) -> Starlette:
    async def file(request: Request) -> Response:
        return FileResponse(folder / request.path_params["name"], filename="a.bin")

    return Starlette(routes=[Route("/file/{name}", file), Mount("/static", StaticFiles(directory=folder))])


def on_fastapi(folder: Path) -> fastapi.FastAPI:
    app = fastapi.FastAPI()

    @app.get("/file/{name}")
    async def file(name: str) -> FileResponse:
        return FileResponse(folder / name, filename="a.bin")

    app.mount("/static", StaticFiles(directory=folder))
    return app


MAKERS = pytest.mark.parametrize("make", [on_starlette, on_fastapi])
PATHS = pytest.mark.parametrize("path", [f"/file/{NAME}", f"/static/{NAME}"])


@pytest.fixture(params=["HTTP/1.1", "HTTP/2"])
def client(request: pytest.FixtureRequest) -> Callable[..., httpx.Client]:
    """`with client(served) as http:`."""
    two = request.param == "HTTP/2"
    return lambda served: httpx.Client(base_url=served.url, timeout=20, http1=not two, http2=two)


def downloaded(http: httpx.Client, path: str) -> tuple[int, str]:
    found, size = hashlib.sha256(), 0
    with http.stream("GET", path) as response:
        assert response.status_code == 200
        for piece in response.iter_raw():
            found.update(piece)
            size += len(piece)
    return size, found.hexdigest()


@MAKERS
@PATHS
def test_a_large_file_comes_as_it_is(
    loop: str, folder: Path, digest: str, client: Any, make: Any, path: str
) -> None:  # ASGI 56
    with serve(make(folder), loop=loop) as served, client(served) as http:
        assert downloaded(http, path) == (SIZE, digest)


@MAKERS
def test_a_large_file_comes_over_https(
    loop: str, folder: Path, digest: str, localhost: Any, authority: Any, make: Any
) -> None:  # ASGI 56
    with (
        serve(make(folder), loop=loop, **localhost) as served,
        httpx.Client(base_url=f"https://localhost:{served.port}", verify=authority.context(), http2=True) as http,
    ):
        assert downloaded(http, f"/file/{NAME}") == (SIZE, digest)


@MAKERS
@PATHS
def test_ranges_and_head_and_conditions_are_as_they_were(
    loop: str, folder: Path, client: Any, make: Any, path: str
) -> None:  # ASGI 30, 56
    whole = (folder / NAME).read_bytes()
    with serve(make(folder), loop=loop) as served, client(served) as http:
        part = http.get(path, headers={"range": "bytes=1000000-2999999"})
        assert (part.status_code, part.content == whole[1_000_000:3_000_000]) == (206, True)
        last = http.get(path, headers={"range": "bytes=-10"})
        assert (last.status_code, last.content) == (206, whole[-10:])
        parts = http.get(path, headers={"range": "bytes=0-4,20-24"})
        assert (parts.status_code, whole[20:25] in parts.content) == (206, True)
        assert http.get(path, headers={"range": f"bytes={SIZE}-"}).status_code == 416
        if path.startswith("/static"):
            head = http.head(path)
            assert (head.status_code, head.headers["content-length"], head.content) == (200, str(SIZE), b"")
            again = http.get(path, headers={"if-none-match": head.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
        assert http.get("/static/small.txt").text == "small\n" * 100


def test_a_file_that_is_named_from_the_working_directory_is_found(
    loop: str, folder: Path, digest: str, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:  # ASGI 56
    # The specification speaks of absolute paths, and Starlette hands on what it was given.
    app = fastapi.FastAPI()

    @app.get("/")
    async def main() -> FileResponse:
        return FileResponse(NAME)

    monkeypatch.chdir(folder)
    with serve(app, loop=loop) as served, client(served) as http:
        assert downloaded(http, "/") == (SIZE, digest)


def test_files_pass_through_middleware(loop: str, folder: Path, digest: str, client: Any) -> None:  # ASGI 56
    async def stamp(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        response.headers["x-stamp"] = "1"
        return response

    middleware = [Middleware(GZipMiddleware), Middleware(BaseHTTPMiddleware, dispatch=stamp)]
    app = Starlette(routes=on_starlette(folder).routes, middleware=middleware)
    with serve(app, loop=loop) as served, client(served) as http:
        http.headers["accept-encoding"] = "identity"
        assert downloaded(http, f"/file/{NAME}") == (SIZE, digest)
        http.headers["accept-encoding"] = "gzip"
        small = http.get("/static/small.txt")
        assert (small.text, small.headers["x-stamp"]) == ("small\n" * 100, "1")


def test_background_tasks_run_when_the_file_is_sent(loop: str, folder: Path, client: Any) -> None:  # ASGI 56
    order: list[str] = []

    async def file(request: Request) -> Response:
        return FileResponse(folder / "small.txt", background=BackgroundTask(order.append, "background"))

    with serve(Starlette(routes=[Route("/", file)]), loop=loop) as served, client(served) as http:
        assert http.get("/").text == "small\n" * 100
    assert order == ["background"]
