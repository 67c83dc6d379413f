"""What goes on behind an answer, and what ends because its client has left."""

from collections.abc import Callable

import httpx
import pytest

from portway.testing import Raw, Served

Until = Callable[[str, str], None]


def begun(served: Served, path: str) -> Raw:
    """A client that asked, and has not read its answer."""
    raw = Raw(served.host, served.port)
    raw.send(f"GET {path} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
    return raw


@pytest.mark.parametrize("framework", ["starlette", "fastapi", "quart"], indirect=True)
@pytest.mark.parametrize("count", [1, 3])
def test_background_tasks_run_after_the_answer(
    client: httpx.Client, framework: str, count: int, until: Until, served: Served
) -> None:
    keys = [f"{number} on {served.port}" for number in range(count)]
    for key in keys:
        assert client.get("/background", params={"key": key}).status_code == 202
    for key in keys:
        until("/background/done", key)


@pytest.mark.parametrize("framework", ["starlette", "quart", "django"], indirect=True)
def test_a_stream_of_events_ends_without_an_error_when_its_client_leaves(
    framework: str, served: Served, until: Until
) -> None:
    key = f"events-{served.port}"
    raw = begun(served, f"/events?key={key}")
    assert raw.interim().status == 200
    raw.until(b"\n\n")
    raw.until(b"\n\n")
    raw.close()
    until("/events/left", key)


@pytest.mark.parametrize("framework", ["django"], indirect=True)
def test_a_view_that_is_cancelled_because_its_client_left_is_no_error(
    framework: str, served: Served, until: Until
) -> None:
    key = f"view-{served.port}"
    raw = begun(served, f"/wait?key={key}")
    until("/events/left", f"here is {key}")
    raw.close()
    until("/events/left", key)


@pytest.mark.parametrize("framework", ["starlette", "fastapi", "quart", "django"], indirect=True)
def test_an_upload_that_breaks_off_is_no_error(framework: str, served: Served, client: httpx.Client) -> None:
    for path in ("/raw", "/upload"):
        raw = Raw(served.host, served.port)
        raw.send(f"POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n".encode())
        raw.send(b"content-type: multipart/form-data; boundary=x\r\n\r\n--x\r\n")
        assert client.get("/json", params={"name": "x"}).status_code == 200
        raw.close()
        assert client.get("/json", params={"name": "x"}).status_code == 200


# Django does not close what it keeps a request's body in when its `send` raises.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("collected")
@pytest.mark.parametrize("framework", ["starlette", "fastapi", "quart", "django"], indirect=True)
def test_a_download_that_is_not_read_to_its_end_is_no_error(
    framework: str, served: Served, client: httpx.Client
) -> None:
    raw = begun(served, "/download?pieces=400")
    assert raw.interim().status == 200
    raw.exactly(100_000)
    raw.close()
    assert client.get("/json", params={"name": "x"}).status_code == 200
