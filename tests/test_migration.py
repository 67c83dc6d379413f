"""The migration example: Flask, FastAPI, Django twice and a bare ASGI application in one process."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

EXAMPLE = Path(__file__).parent.parent / "examples" / "migration"
MADE = re.compile(r"This page was made by <b>(\w+)</b>")

# What it serves on each day of its README.
DAY_0 = ("shop.old:app",)
DAY_1 = ("shop.new:app", "--fallback", "shop.old:app")
TODAY = ()  # portway.toml has it all


@pytest.fixture
def shop(portway_in: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`shop(*args)` opens it with a database of its own."""
    monkeypatch.setenv("SHOP_DATABASE", str(tmp_path / "shop.sqlite3"))
    return lambda *args: portway_in(EXAMPLE, *args, "--port", "0").up()


@pytest.fixture
def today(shop: Any) -> Any:
    return shop(*TODAY)


@pytest.fixture
def client(today: Any) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=today.url, timeout=20) as client:
        yield client


def maker(answer: httpx.Response) -> str:
    found = MADE.search(answer.text)
    assert found is not None, answer.text
    return found[1]


def buy(client: httpx.Client, tea: int, count: int) -> httpx.Response:
    client.post("/cart", data={"tea": tea, "count": count})
    return client.post("/orders", follow_redirects=True)


# --- day by day ---


def test_on_day_0_all_is_flask(shop: Any) -> None:
    with httpx.Client(base_url=shop(*DAY_0).url, timeout=20) as client:
        assert {maker(client.get(path)) for path in ("/", "/teas/1", "/cart", "/absent")} == {"Flask"}
        assert "Thank you" in buy(client, 1, 2).text
        assert client.get("/static/shop.css").headers["content-type"].startswith("text/css")


def test_on_day_1_one_page_has_moved(shop: Any) -> None:
    with httpx.Client(base_url=shop(*DAY_1).url, timeout=20) as client:
        assert {path: maker(client.get(path)) for path in ("/", "/teas/1", "/cart")} == {
            "/": "Flask",
            "/teas/1": "FastAPI",
            "/cart": "Flask",
        }


def test_today_five_applications_answer(client: httpx.Client) -> None:
    made = {path: maker(client.get(path)) for path in ("/", "/teas/1", "/reports", "/reports/")}
    assert made == {"/": "Flask", "/teas/1": "FastAPI", "/reports": "Django", "/reports/": "Django"}
    assert client.get("/health").json()["up"] >= 0
    with client.stream("GET", "/live/sales") as answer:
        assert answer.headers["content-type"] == "text/event-stream"


# --- one shop ---


def test_a_cart_is_the_same_on_both_sides(client: httpx.Client) -> None:
    assert client.post("/cart", data={"tea": 1, "count": 2}).status_code == 303  # Flask
    assert client.get("/api/cart").json() == {"lines": [{"tea": "Assam", "count": 2}], "total": "€ 13.80"}
    client.post("/api/cart", json={"tea": 2})  # FastAPI
    page = client.get("/cart")
    assert maker(page) == "Flask"
    assert "Darjeeling" in page.text
    assert '<a class="cart" href="/cart">Cart <b>3</b></a>' in page.text
    assert '<a class="cart" href="/cart">Cart <b>3</b></a>' in client.get("/teas/1").text


def test_a_cart_that_the_new_side_began_is_ordered_on_the_old_one(client: httpx.Client, today: Any) -> None:
    client.post("/api/cart", json={"tea": 3, "count": 2})
    order = client.post("/orders", follow_redirects=True)
    assert "Genmaicha" in order.text
    assert client.get("/api/cart").json()["lines"] == []
    assert client.get("/api/teas/3").json()["stock"] == 23
    assert httpx.get(f"{today.url}{order.url.path}").status_code == 404  # somebody else's


def test_a_cookie_that_somebody_else_has_signed_is_none(today: Any) -> None:
    with httpx.Client(base_url=today.url, cookies={"session": "eyJjdXN0b21lciI6ImEifQ.aaaaaa.bbbb"}) as client:
        assert client.get("/api/cart").json()["lines"] == []
        assert client.get("/cart").status_code == 200


def test_what_the_old_side_sells_the_new_page_shows_at_once(client: httpx.Client, today: Any) -> None:
    url = today.url.replace("http", "ws")
    with connect(f"{url}/teas/5/stock") as one, connect(f"{url}/teas/5/stock") as two, connect(f"{url}/teas/4/stock"):
        assert [json.loads(each.recv(20)) for each in (one, two)] == [{"stock": 3}] * 2
        buy(client, 5, 1)
        assert [json.loads(each.recv(20)) for each in (one, two)] == [{"stock": 2}] * 2
    with pytest.raises(InvalidStatus, match="403"):
        connect(f"{url}/teas/99/stock")


def test_more_than_there_is_cannot_be_had(client: httpx.Client) -> None:
    answer = buy(client, 5, 4)
    assert answer.status_code == 409
    assert "There are 3 of Lapsang Souchong left, and 4 in your cart." in answer.text
    assert client.get("/api/teas/5").json()["stock"] == 3


def test_reports_and_their_live_figures_know_of_every_sale(client: httpx.Client) -> None:
    buy(client, 2, 2)
    assert "€ 29.00" in client.get("/reports").text
    with client.stream("GET", "/live/sales") as answer:
        first = next(line for line in answer.iter_lines() if line.startswith("data: "))
    found = json.loads(first.removeprefix("data: "))
    assert (found["orders"], found["taken"]) == (1, "€ 29.00")
    assert found["teas"][0] == {"name": "Darjeeling", "stock": 10, "count": 2, "taken": "€ 29.00"}


# --- one server ---


@pytest.mark.parametrize("path", ["/absent", "/teas/99", "/api/absent"])
def test_what_neither_knows_is_the_old_ones_404(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert maker(answer) == "Flask"


def test_what_is_not_there_in_a_mount_is_its_own_404(client: httpx.Client) -> None:
    assert client.get("/reports/absent").status_code == 404
    assert "This shop has no such page" not in client.get("/reports/absent").text


def test_they_open_in_order_and_close_in_reverse_and_the_log_names_who_answered(today: Any) -> None:
    for path in ("/", "/api/teas", "/reports", "/health", "/absent"):
        httpx.get(today.url + path)
    assert today.ends(15) == 0
    lines = today.err.all().splitlines()
    said = [line.split()[-2:] for line in lines if "shop.new " in line or "shop.health " in line]
    assert said == [["shop.new", "opens"], ["shop.health", "opens"], ["shop.health", "closes"], ["shop.new", "closes"]]
    names = [line.split()[-1] for line in (*lines, *today.out.all().splitlines()) if " HTTP/1.1" in line]
    assert names == ["shop.old:app", "shop.new:app", "shop.reports:wsgi", "shop.health:app", "shop.old:app"]
    assert not [line for line in lines if line.startswith(("ERROR", "WARNING"))]
