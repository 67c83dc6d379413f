"""What is sold, in Django: pages over WSGI, and their figures live over ASGI.

portway serve shop.new:app --mount /reports=shop.reports:wsgi --mount /live=shop.reports:asgi
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import path

from shop import SECRET, data

settings.configure(
    ALLOWED_HOSTS=["*"],
    SECRET_KEY=SECRET,
    ROOT_URLCONF=__name__,
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.jinja2.Jinja2",  # the templates of the shop
            "DIRS": [Path(__file__).parent / "templates"],
        }
    ],
    LOGGING_CONFIG=None,
    USE_TZ=True,
)

# A stream of events ends after so many, and the browser asks for the next one. So the server, when it is told
# to stop, need not wait for somebody to close the page.
EVENTS = 10


def report(request: HttpRequest) -> HttpResponse:
    """An ordinary view, on a thread of the server's."""
    return render(request, "report.html", {"report": data.report(), "maker": "Django"})


async def events(request: HttpRequest) -> StreamingHttpResponse:
    """An asynchronous view, on the event loop."""
    return StreamingHttpResponse(figures(), content_type="text/event-stream", headers={"cache-control": "no-store"})


async def figures() -> AsyncIterator[str]:
    yield "retry: 100\n\n"
    for _ in range(EVENTS):
        found = await sync_to_async(data.report)()
        yield f"data: {json.dumps(found)}\n\n"
        await asyncio.sleep(1)


urlpatterns = [path("", report), path("sales", events)]

wsgi = get_wsgi_application()
asgi = get_asgi_application()
