"""The chat example in a browser: two windows of a real Chromium on a real server.

Chromium is driven by its DevTools protocol over a pair of pipes: JSON, each message ended by a NUL.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from portway.testing import Served, serve
from portway.types import Receive, Scope, Send

EXAMPLE = Path(__file__).parent.parent / "examples" / "chat" / "main.py"

# For all that one test does, on a slow machine.
PATIENCE = 60.0

# Chromium reads the protocol from the descriptor 3 and writes it to 4.
LAUNCH = ("sh", "-c", 'exec "$0" "$@" 3<&0 4>&1 </dev/null >&2')
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # root and most containers cannot have it; the only page is ours
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--no-first-run",
    "--remote-debugging-pipe",
    "--ignore-certificate-errors",  # it knows nothing of the authority of the tests
)


def chromium() -> str:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        why = "needs Chromium; on Debian: apt-get install chromium"
        if os.environ.get("REQUIRE_CHROMIUM"):
            pytest.fail(why)
        pytest.skip(why)
    return found


class Browser:
    """A Chromium without a screen."""

    def __init__(self, folder: Path) -> None:
        log = folder / "chromium.log"
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [*LAUNCH, chromium(), *FLAGS, f"--user-data-dir={folder / 'profile'}"],
                bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            )  # fmt: skip
        self._log = log
        self._kept = b""
        self._calls = 0
        self._events: list[dict[str, Any]] = []
        # A browser that is ended ends whatever waits for it.
        self._patience = threading.Timer(PATIENCE, self._process.kill)
        self._patience.start()

    def call(self, method: str, session: str | None = None, **params: Any) -> Any:
        """What the browser answers."""
        self._calls += 1
        message: dict[str, Any] = {"id": self._calls, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\0")
        while (found := self._read()).get("id") != self._calls:
            self._events.append(found)
        assert "error" not in found, (method, found["error"])
        return found["result"]

    def event(self, method: str, session: str) -> Any:
        """The first event of this name, which may have come already."""
        while True:
            for found in self._events:
                if found.get("method") == method and found.get("sessionId") == session:
                    self._events.remove(found)
                    return found["params"]
            self._events.append(self._read())

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        while b"\0" not in self._kept:
            more = self._process.stdout.read(65536)
            assert more, f"Chromium has ended, or was not done in {PATIENCE:g} s: {self._complaints()}"
            self._kept += more
        text, _, self._kept = self._kept.partition(b"\0")
        found: dict[str, Any] = json.loads(text)
        return found

    def _complaints(self) -> str:
        lines = self._log.read_text("utf-8", "replace").splitlines()
        return "\n".join(line for line in lines if "/dbus/" not in line and ":dbus/" not in line)

    def close(self) -> None:
        try:
            if self._process.poll() is None:
                self.call("Browser.close")
        finally:
            self._process.__exit__(None, None, None)
            self._patience.cancel()
            self._patience.join()


class Window:
    """A page in a browser profile of its own: another person's."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser = browser
        profile = browser.call("Target.createBrowserContext")["browserContextId"]
        self._target = browser.call("Target.createTarget", url="about:blank", browserContextId=profile)["targetId"]
        self._session = browser.call("Target.attachToTarget", targetId=self._target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.call("Page.navigate", url=url)
        self.event("Page.loadEventFired")

    def call(self, method: str, **params: Any) -> Any:
        return self._browser.call(method, self._session, **params)

    def event(self, method: str) -> Any:
        return self._browser.event(method, self._session)

    def close(self) -> None:
        self._browser.call("Target.closeTarget", targetId=self._target)

    # --- what a person does ---

    def write(self, text: str) -> None:
        """Type it where the cursor is, and press Enter."""
        self.call("Input.insertText", text=text)
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", text="\r", windowsVirtualKeyCode=13
            )

    # --- what a person sees ---

    def evaluate(self, script: str) -> Any:
        found = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, condition: str) -> None:
        """Wait for the page to become so."""
        self.evaluate(f"""new Promise(done => {{
            const look = () => {condition} && done();
            new MutationObserver(look).observe(document,
                {{subtree: true, childList: true, attributes: true, characterData: true}});
            look();
        }})""")

    def connected(self) -> None:
        self.until('document.getElementById("line").textContent === "connected"')

    def people(self, *names: str) -> None:
        """Wait until just these are there, in this order."""
        shown = '[...document.querySelectorAll("#people .name")].map(each => each.textContent)'
        self.until(f"JSON.stringify({shown}) === {json.dumps(json.dumps(names, separators=(',', ':')))}")

    def said(self, text: str) -> None:
        """Wait until this stands there last."""
        self.until(f'[...document.querySelectorAll("#said .text")].at(-1)?.textContent === {json.dumps(text)}')


def load() -> Any:
    spec = importlib.util.spec_from_file_location("example_chat", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def chat() -> Iterator[Served]:
    with serve(load().app) as served:
        yield served


class Witness:
    """Passes everything on to the chat, and keeps the scopes."""

    def __init__(self) -> None:
        self.app = load().app
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        await self.app(scope, receive, send)

    def versions(self, kind: str) -> set[tuple[str, str]]:
        """What came by which version of HTTP, on which scheme."""
        return {(scope["http_version"], scope["scheme"]) for scope in self.scopes if scope["type"] == kind}


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    found = Browser(tmp_path)
    yield found
    found.close()


def enter(browser: Browser, url: str, name: str) -> Window:
    window = Window(browser, url)
    window.write(name)
    window.connected()
    return window


def test_what_is_said_in_one_window_is_seen_in_the_other(chat: Served, browser: Browser) -> None:
    ada = enter(browser, chat.url, "Ada")
    ada.people("Ada")
    ada.write("Is anybody there?")
    bob = enter(browser, chat.url, "Bob")
    bob.said("Is anybody there?")
    bob.people("Bob", "Ada")
    ada.people("Ada", "Bob")

    bob.write("<b>Yes</b> & <script>no</script>")
    ada.said("<b>Yes</b> & <script>no</script>")
    ada.write("ä ß 漢 🦀 " * 199)  # so long that the server compresses it
    bob.said("ä ß 漢 🦀 " * 198 + "ä ß 漢 🦀")

    bob.close()
    ada.people("Ada")


def test_compression_is_agreed_on_with_chromium(chat: Served, browser: Browser) -> None:
    window = enter(browser, chat.url, "Ada")
    response = window.event("Network.webSocketHandshakeResponseReceived")["response"]
    headers = {name.lower(): value for name, value in response["headers"].items()}
    assert response["status"] == 101
    assert headers["sec-websocket-extensions"].startswith("permessage-deflate")


def test_a_window_comes_back_by_itself_and_under_its_name(browser: Browser) -> None:
    app = load().app
    with serve(app) as served:
        window = enter(browser, served.url, "Ada")
        window.write("before")
        window.said("before")
    window.until('document.getElementById("line").textContent.includes("trying again")')
    assert window.evaluate("""document.querySelector("#write button").disabled""")
    with serve(app, port=served.port):
        window.connected()
        window.people("Ada")
        window.write("after")
        window.said("after")
        window.call("Page.reload")
        window.event("Page.loadEventFired")
        window.connected()
        window.people("Ada")
        window.said("after")
        assert window.evaluate('document.querySelectorAll("#said .mine").length') == 1


def test_a_message_that_is_none_is_refused_and_not_sent_again(chat: Served, browser: Browser) -> None:
    window = enter(browser, chat.url, "Ada")
    window.evaluate("socket.send('[]')")
    window.until('document.getElementById("line").textContent === "refused: a message must be a JSON object"')


# --- over https ---

LOOPS = pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
PROTOCOLS = """JSON.stringify([...new Set(
    [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
        .map(each => each.nextHopProtocol))])"""


@LOOPS
@pytest.mark.parametrize(("http", "seen", "version"), [("auto", "h2", "2"), ("1.1", "http/1.1", "1.1")])
def test_over_https_pages_and_websockets_come_by_the_newest_version_that_is_served(
    browser: Browser, localhost: dict[str, str], loop: str, http: str, seen: str, version: str
) -> None:
    app = Witness()
    with serve(app, loop=loop, http=http, **localhost) as served:
        ada = enter(browser, f"https://localhost:{served.port}", "Ada")
        assert json.loads(ada.evaluate(PROTOCOLS)) == [seen]
        ada.people("Ada")
        bob = enter(browser, f"https://localhost:{served.port}", "Bob")
        bob.write("ä ß 漢 🦀 " * 199)  # so long that both compress it
        ada.said("ä ß 漢 🦀 " * 198 + "ä ß 漢 🦀")
        ada.write("<b>Yes</b>")
        bob.said("<b>Yes</b>")
        pages = "Promise.all([...Array(60)].map(() => fetch('/').then(each => each.text()).then(each => each.length)))"
        assert len(set(ada.evaluate(pages))) == 1
        bob.close()
        ada.people("Ada")
    assert app.versions("http") == {(version, "https")}
    assert app.versions("websocket") == {(version, "wss")}
    ada.until('document.getElementById("line").textContent.includes("trying again")')


def test_over_https_a_window_comes_back_when_the_server_does(browser: Browser, localhost: dict[str, str]) -> None:
    app = Witness()
    with serve(app, **localhost) as served:
        window = enter(browser, f"https://localhost:{served.port}", "Ada")
        window.write("before")
        window.said("before")
    window.until('document.getElementById("line").textContent.includes("trying again")')
    with serve(app, port=served.port, **localhost):
        window.connected()
        window.people("Ada")
        window.write("after")
        window.said("after")
    # Without a connection of HTTP/2 at hand Chromium opens a WebSocket by HTTP/1.1: that is how it may come back.
    assert ("2", "wss") in app.versions("websocket")
