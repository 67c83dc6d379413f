"""A bare start imports nothing for what it does not use."""

from pathlib import Path
from typing import Any

import httpx

APP = """
import sys


async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": " ".join(sys.modules).encode()})
"""

# What belongs to TLS, HTTP/2, WSGI, several applications, several processes, and other commands.
UNUSED = {
    "portway.link.tls", "portway.server.certs", "portway.server.redirect",
    "portway.link.http2", "portway.wire.http2.codec", "portway.wire.hpack",
    "portway.wsgi", "portway.compose.fallback", "portway.compose.mounts", "portway.compose.keys",
    "portway.workers.supervisor", "portway.workers.plan", "portway.workers.watch", "portway.boot.supervise",
    "portway.cli.control", "portway.cli.config", "portway.cli.routes", "portway.cli.completion", "portway.probe",
    # Heavy ones of Python's own, and of others.
    "http.client", "logging.config", "multiprocessing", "sqlite3", "unittest", "urllib.request", "xml",
    "anyio", "watchfiles", "yaml",
}  # fmt: skip


def test_a_bare_start_imports_nothing_for_what_it_does_not_use(portway_command: Any, tmp_path: Path) -> None:
    command = portway_command(APP, "--port", "0").up()
    found = set(httpx.get(f"http://127.0.0.1:{command.port}/").text.split())
    assert found & UNUSED == set()
