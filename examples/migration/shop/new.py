"""The shop as it is becoming, in FastAPI: an ASGI application. What it does not know, the old one answers.

portway serve shop.new:app --fallback shop.old:app
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

from fastapi import Cookie, FastAPI, HTTPException, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates
from itsdangerous import BadSignature, URLSafeTimedSerializer
from pydantic import BaseModel, Field

from shop import SECRET, data

log = logging.getLogger("shop")

templates = Jinja2Templates(Path(__file__).parent / "templates")

# Flask signs its session so. Both read and write the same cookie.
signed = URLSafeTimedSerializer(
    SECRET, "cookie-session", signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha1}
)

Session = Annotated[str | None, Cookie()]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    data.prepare()
    log.info("shop.new opens")
    yield
    log.info("shop.new closes")


app = FastAPI(title="The tea shop", lifespan=lifespan)


def customer_of(session: str | None) -> str | None:
    try:
        return str(signed.loads(session or "")["customer"])
    except (BadSignature, KeyError):
        return None


# --- pages ---


@app.get("/teas/{number}", response_class=HTMLResponse)
def page(request: Request, number: int, session: Session = None) -> Response:
    count = data.cart(customer_of(session)).count
    known = {"tea": known_tea(number), "live": True, "maker": "FastAPI", "count": count}
    return templates.TemplateResponse(request, "tea.html", known)


@app.websocket("/teas/{number}/stock")
async def stock(socket: WebSocket, number: int) -> None:
    """How many are left, now and whenever one is sold: by the old shop, too, which runs in this very process."""
    loop = asyncio.get_running_loop()
    news: asyncio.Queue[int] = asyncio.Queue()

    def told(tea: int, left: int) -> None:
        if tea == number:
            loop.call_soon_threadsafe(news.put_nowait, left)

    with data.watching(told):
        found = await asyncio.to_thread(data.tea, number)
        if found is None:
            await socket.close()
            return
        await socket.accept()
        news.put_nowait(found.stock)
        passing_on = asyncio.create_task(pass_on(socket, news))
        with suppress(WebSocketDisconnect):
            await socket.receive()
        passing_on.cancel()
        await asyncio.gather(passing_on, return_exceptions=True)


async def pass_on(socket: WebSocket, news: asyncio.Queue[int]) -> None:
    while True:
        await socket.send_json({"stock": await news.get()})


# --- the API ---


class Wish(BaseModel):
    tea: int
    count: int = Field(1, ge=-100, le=100)


@app.get("/api/teas")
def teas() -> list[data.Tea]:
    return data.teas()


@app.get("/api/teas/{number}")
def known_tea(number: int) -> data.Tea:
    found = data.tea(number)
    if found is None:
        raise HTTPException(404)
    return found


@app.get("/api/cart")
def cart(session: Session = None) -> dict[str, Any]:
    found = data.cart(customer_of(session))
    lines = [{"tea": tea.name, "count": count} for tea, count in found.lines]
    return {"lines": lines, "total": found.total}


@app.post("/api/cart")
def put(wish: Wish, response: Response, session: Session = None) -> dict[str, Any]:
    customer = customer_of(session)
    if customer is None:
        customer = secrets.token_hex(8)
        session = str(signed.dumps({"customer": customer}))
        response.set_cookie("session", session, httponly=True)
    data.put(customer, wish.tea, wish.count)
    return cart(session)
