"""What FastAPI does beyond the everyday: validation, dependencies, plain functions in threads."""

from collections.abc import Callable

import httpx

from portway.testing import Served

FRAMEWORK = "fastapi"


def test_a_body_is_validated(client: httpx.Client) -> None:
    assert client.post("/item", json={"name": "x", "price": 1}).json() == {"name": "x", "price": 1.0}
    assert client.post("/item", json={"name": "x"}).status_code == 422
    assert client.post("/item", content=b"{", headers={"content-type": "application/json"}).status_code == 422


def test_the_interactive_documentation_is_there(client: httpx.Client) -> None:
    assert "swagger" in client.get("/docs").text
    assert client.get("/openapi.json").json()["paths"]["/item"]["post"]


def test_a_dependency_is_closed_after_its_answer(
    client: httpx.Client, served: Served, until: Callable[[str, str], None]
) -> None:
    key = f"resource on {served.port}"
    answer = client.get("/with/dependency", params={"key": key}).json()
    assert answer["key"] == key
    assert key not in answer["closed"]
    until("/closed", key)


def test_a_plain_function_runs_in_a_thread_with_the_context_of_its_request(client: httpx.Client) -> None:
    for name in ("one", "two"):
        answer = client.get("/in/thread", params={"name": name}).json()
        assert answer["name"] == name
        assert answer["thread"] not in ("MainThread", "portway-serve")
