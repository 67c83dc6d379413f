"""The shop's database, which all of its applications share: SQLite, and a connection for each piece of work.

SHOP_DATABASE names its file. Whoever wants to know of sales at once, watches: all run in one process.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = os.environ.get("SHOP_DATABASE") or str(Path(__file__).parent.parent / "shop.sqlite3")

TABLES = """
CREATE TABLE IF NOT EXISTS teas (number INTEGER PRIMARY KEY, name, text, cents, stock CHECK (stock >= 0), hue);
CREATE TABLE IF NOT EXISTS carts (customer, tea, count, PRIMARY KEY (customer, tea));
CREATE TABLE IF NOT EXISTS orders (number INTEGER PRIMARY KEY, customer);
CREATE TABLE IF NOT EXISTS sold (number, tea, count, cents);
"""
TEAS = [
    (1, "Assam", "Malty and strong; takes milk.", 690, 40, 18),
    (2, "Darjeeling", "First flush, light as its flowers.", 1450, 12, 42),
    (3, "Genmaicha", "Green, with roasted rice.", 840, 25, 95),
    (4, "Keemun", "Dark, with a breath of cocoa.", 1120, 18, 350),
    (5, "Lapsang Souchong", "Smoked over pine.", 980, 3, 215),
    (6, "Rooibos", "No tea, and welcome all the same.", 520, 60, 8),
]


@dataclass(frozen=True)
class Tea:
    number: int
    name: str
    text: str
    cents: int
    stock: int
    hue: int

    @property
    def price(self) -> str:
        return euros(self.cents)


@dataclass(frozen=True)
class Cart:
    """Each tea in it and how many; an order has the same form."""

    lines: list[tuple[Tea, int]]

    @property
    def count(self) -> int:
        return sum(count for _, count in self.lines)

    @property
    def total(self) -> str:
        return euros(sum(tea.cents * count for tea, count in self.lines))


class SoldOut(Exception):
    """There is less of a tea than the cart has."""


def euros(cents: int) -> str:
    return f"€ {cents // 100}.{cents % 100:02}"


@contextmanager
def database() -> Iterator[sqlite3.Connection]:
    """A connection, and a transaction that is committed if all goes well."""
    connection = sqlite3.connect(FILE, timeout=10, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            yield connection
    finally:
        connection.close()


def prepare() -> None:
    """Make the tables and fill the shelf, if that is not done yet."""
    with database() as db:
        for statement in TABLES.split(";"):
            db.execute(statement)
        db.executemany("INSERT OR IGNORE INTO teas VALUES (?, ?, ?, ?, ?, ?)", TEAS)


# --- what there is ---


def teas() -> list[Tea]:
    with database() as db:
        return [Tea(*row) for row in db.execute("SELECT * FROM teas ORDER BY name")]


def tea(number: int) -> Tea | None:
    with database() as db:
        row = db.execute("SELECT * FROM teas WHERE number = ?", [number]).fetchone()
    return Tea(*row) if row else None


# --- what is bought ---


def cart(customer: str | None) -> Cart:
    with database() as db:
        return _cart(db, customer)


def _cart(db: sqlite3.Connection, customer: str | None) -> Cart:
    query = "SELECT teas.*, count FROM carts JOIN teas ON tea = number WHERE customer = ? ORDER BY name"
    return Cart([(Tea(*row[:-1]), row[-1]) for row in db.execute(query, [customer])])


def put(customer: str, number: int, count: int) -> None:
    """So many more of a tea in the cart; with a negative count fewer."""
    with database() as db:
        db.execute(
            "INSERT INTO carts SELECT ?, number, ? FROM teas WHERE number = ? "
            "ON CONFLICT DO UPDATE SET count = count + excluded.count",
            [customer, count, number],
        )
        db.execute("DELETE FROM carts WHERE count < 1")


def order(customer: str) -> int | None:
    """Buy what is in the cart: the number of the order, None for an empty cart. SoldOut if there is not enough."""
    with database() as db:
        bought = _cart(db, customer)
        if not bought.lines:
            return None
        number = db.execute("INSERT INTO orders (customer) VALUES (?)", [customer]).lastrowid
        for tea, count in bought.lines:
            if count > tea.stock:
                raise SoldOut(f"There are {tea.stock} of {tea.name} left, and {count} in your cart.")
            db.execute("UPDATE teas SET stock = stock - ? WHERE number = ?", [count, tea.number])
            db.execute("INSERT INTO sold VALUES (?, ?, ?, ?)", [number, tea.number, count, tea.cents])
        db.execute("DELETE FROM carts WHERE customer = ?", [customer])
    for tea, count in bought.lines:
        for told in list(_watching):
            told(tea.number, tea.stock - count)
    return number


def ordered(number: int, customer: str | None) -> Cart | None:
    """An order, for who gave it."""
    query = (
        "SELECT teas.number, name, text, sold.cents, stock, hue, count FROM orders JOIN sold USING (number) "
        "JOIN teas ON tea = teas.number WHERE orders.number = ? AND customer = ? ORDER BY name"
    )
    with database() as db:
        rows = db.execute(query, [number, customer]).fetchall()
    return Cart([(Tea(*row[:-1]), row[-1]) for row in rows]) if rows else None


# --- what is known of it ---


def report() -> dict[str, Any]:
    """What was sold of each tea, and of all."""
    query = (
        "SELECT name, teas.stock, coalesce(sum(count), 0), coalesce(sum(count * sold.cents), 0) "
        "FROM teas LEFT JOIN sold ON tea = teas.number GROUP BY teas.number ORDER BY 3 DESC, name"
    )
    with database() as db:
        rows = db.execute(query).fetchall()
        orders = db.execute("SELECT count(*) FROM orders").fetchone()[0]
    sold = [{"name": name, "stock": stock, "count": count, "taken": euros(cents)} for name, stock, count, cents in rows]
    return {"teas": sold, "orders": orders, "taken": euros(sum(row[3] for row in rows))}


Told = Callable[[int, int], None]

_watching: list[Told] = []


@contextmanager
def watching(told: Told) -> Iterator[None]:
    """Have this called with each tea that is sold and what is left, in whichever thread sells it."""
    _watching.append(told)
    try:
        yield
    finally:
        _watching.remove(told)
