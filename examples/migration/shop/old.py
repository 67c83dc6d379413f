"""The shop as it always was, in Flask: a WSGI application.

portway serve shop.old:app
"""

from __future__ import annotations

import secrets
from typing import Any

from flask import Flask, redirect, render_template, request, session
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

from shop import SECRET, data

app = Flask(__name__, static_folder="static")
app.secret_key = SECRET

data.prepare()


def page(name: str, status: int = 200, **more: Any) -> tuple[str, int]:
    count = data.cart(session.get("customer")).count
    return render_template(f"{name}.html", maker="Flask", count=count, **more), status


def customer() -> str:
    """Who is buying; that a browser is a customer begins with the first tea in its cart."""
    return str(session.setdefault("customer", secrets.token_hex(8)))


@app.get("/")
def shelf() -> Any:
    return page("shelf", teas=data.teas())


# This page has moved to shop.new. It is asked for no more, and may be deleted.
@app.get("/teas/<int:number>")
def tea(number: int) -> Any:
    found = data.tea(number)
    if found is None:
        raise NotFound
    return page("tea", tea=found, live=False)


@app.get("/cart")
def cart() -> Any:
    return page("cart", cart=data.cart(session.get("customer")))


@app.post("/cart")
def put() -> Response:
    data.put(customer(), request.form.get("tea", 0, int), request.form.get("count", 1, int))
    return redirect("/cart", 303)


@app.post("/orders")
def order() -> Any:
    try:
        number = data.order(customer())
    except data.SoldOut as why:
        return page("cart", 409, cart=data.cart(customer()), why=str(why))
    return redirect(f"/orders/{number}" if number else "/cart", 303)


@app.get("/orders/<int:number>")
def ordered(number: int) -> Any:
    found = data.ordered(number, session.get("customer"))
    if found is None:
        raise NotFound
    return page("order", number=number, cart=found)


@app.errorhandler(404)
def missing(why: NotFound) -> Any:
    return page("missing", 404)
