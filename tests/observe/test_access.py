"""The access log: its line, and the two ways that it takes."""

import asyncio
import io
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from portway import SettingsError
from portway.observe import access, logs
from portway.observe.access import FIELDS, AccessLog, line_of

Told = Callable[..., str]


@pytest.fixture
def stdout(loggers: None, monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Logging is set up as by `portway serve`, and this is its standard output."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stdout", stream)
    monkeypatch.setattr("sys.stderr", io.StringIO())
    logs.set_up("info", None, False)
    return stream


class Keeper(logging.Handler):
    """A handler of the user's."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def begin(format: str | None) -> AccessLog:
    """An access log to which pytest does not listen, as it does to every logger while a test runs."""
    logger = logging.getLogger("portway.access")
    logger.handlers[:] = [each for each in logger.handlers if not type(each).__module__.startswith("_pytest")]
    return AccessLog(format)


def tell(log: AccessLog, *exchanges: Any) -> None:
    """Tell the log of them in one turn of a loop, and end that turn."""

    async def main() -> None:
        for exchange in exchanges:
            log.ended(exchange)
        await asyncio.sleep(0)

    asyncio.run(main())


# --- the line ---


def test_the_usual_line_has_client_method_path_version_status_bytes_and_duration(exchange: Any) -> None:
    exchange.head.path, exchange.head.query = b"/a", b"b=c"
    assert line_of(None)(exchange) == '192.0.2.7:4711 - "GET /a?b=c HTTP/1.1" 200 13 12.3ms'


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0ms"), (0.00004, "0.0ms"), (0.00005, "0.1ms"), (0.0999, "99.9ms"), (0.1, "100.0ms"), (3600, "3600000.0ms")],
)
def test_durations_are_in_tenths_of_milliseconds(exchange: Any, seconds: float, text: str) -> None:
    exchange.seconds = seconds
    assert line_of(None)(exchange).endswith(f" {text}")


def test_a_response_that_was_cut_off_is_said_so(exchange: Any) -> None:
    exchange.lost = True
    assert line_of(None)(exchange).endswith("12.3ms (cut off)")


def test_a_client_on_a_unix_socket_has_no_address(exchange: Any) -> None:
    exchange.client = None
    assert line_of(None)(exchange).startswith('-:0 - "GET')
    assert line_of("%(client)s %(host)s")(exchange) == "-:0 -"
    assert json.loads(line_of("json")(exchange))["client"] == "-:0"


def test_json_is_one_object_a_line(exchange: Any) -> None:
    exchange.head.headers = [(b"user-agent", b"curl/8"), (b"referer", b"http://a/\xe4")]
    text = line_of("json")(exchange)
    assert "\n" not in text
    found = json.loads(text)
    found.pop("time")
    assert found == {
        "client": "192.0.2.7:4711",
        "method": "GET",
        "path": "/",
        "query": "",
        "version": "1.1",
        "status": 200,
        "size": 13,
        "seconds": 0.0123,
        "whole": True,
        "referer": "http://a/\\xe4",
        "user_agent": "curl/8",
    }


def test_a_format_may_name_everything(exchange: Any) -> None:
    exchange.head.headers = [(b"user-agent", b"curl/8"), (b"user-agent", b"a second one")]
    format = " ".join(f"{name}=%({name})s" for name in FIELDS if name != "time")
    assert line_of(format)(exchange) == (
        "client=192.0.2.7:4711 host=192.0.2.7 method=GET target=/ path=/ query= version=1.1 status=200 "
        "size=13 seconds=0.0123 ms=12.3 whole=True referer=- user_agent=curl/8 application=-"
    )


@pytest.mark.parametrize(
    ("format", "words"),
    [
        ("%(clinet)s", r"there is no %\(clinet\)s; there are client, host"),
        ("%(status)", "no %-format"),
        ("%(status)q", "no %-format"),
        ("%(method)d", "no %-format"),
    ],
)
def test_a_format_that_names_what_there_is_not_is_refused(format: str, words: str) -> None:
    with pytest.raises(SettingsError, match=f"access_log_format: .*{words}"):
        AccessLog(format)


# --- what a client cannot do ---

EVERYTHING = "%(target)s %(path)s %(query)s %(user_agent)s %(referer)s"


@pytest.mark.parametrize("format", [None, "json", EVERYTHING])
def test_a_client_can_end_no_quotation(exchange: Any, format: str | None) -> None:
    exchange.head.path = b'/"200'
    exchange.head.query = b'x="y'
    exchange.head.headers = [(b"user-agent", b'"'), (b"referer", b"\\")]
    line = line_of(format)(exchange)
    if format == "json":
        assert json.loads(line)["path"] == '/"200'
    else:
        assert "/%22200" in line
        assert "x=%22y" in line
        assert line.count('"') == (2 if format is None else 0)


@pytest.mark.parametrize("format", ["json", EVERYTHING])
def test_a_client_can_send_no_control_characters(exchange: Any, format: str) -> None:
    every = bytes(range(256))
    exchange.head.headers = [(b"user-agent", every), (b"referer", every)]
    assert line_of(format)(exchange).isprintable()


# --- the two ways ---


def test_the_lines_of_a_turn_are_written_at_its_end_in_order(stdout: io.StringIO, exchange: Any) -> None:
    async def main() -> None:
        log = begin("%(status)d")
        for exchange.status in (200, 404):
            log.ended(exchange)
        assert stdout.getvalue() == ""
        await asyncio.sleep(0)
        assert stdout.getvalue() == "INFO:     200\nINFO:     404\n"
        exchange.status = 500
        log.ended(exchange)
        await asyncio.sleep(0)
        assert stdout.getvalue().endswith("INFO:     500\n")

    asyncio.run(main())


def test_a_burst_is_written_in_between(stdout: io.StringIO, exchange: Any) -> None:
    async def main() -> None:
        log = begin("%(status)d")
        for _ in range(5000):
            log.ended(exchange)
        assert stdout.getvalue().count("\n") > 4000

    asyncio.run(main())
    logs.flush()
    assert stdout.getvalue().count("INFO:     200\n") == 5000


def test_what_waits_is_written_by_a_flush(stdout: io.StringIO, exchange: Any) -> None:
    async def main() -> None:
        begin(None).ended(exchange)
        logs.flush()
        assert stdout.getvalue().count("\n") == 1

    asyncio.run(main())
    assert stdout.getvalue().count("\n") == 1


def test_what_waits_is_written_before_a_record_that_comes_later(stdout: io.StringIO, exchange: Any) -> None:
    async def main() -> None:
        begin("%(status)d").ended(exchange)
        logging.getLogger("portway.access").info("mine")

    asyncio.run(main())
    assert stdout.getvalue() == "INFO:     200\nINFO:     mine\n"


def test_a_handler_of_the_users_gets_records(stdout: io.StringIO, exchange: Any) -> None:
    keeper = Keeper()
    logging.getLogger("portway.access").addHandler(keeper)
    tell(begin("%(status)d"), exchange, exchange)
    assert [(each.name, each.levelno, each.getMessage()) for each in keeper.records] == [
        ("portway.access", logging.INFO, "200")
    ] * 2
    assert stdout.getvalue() == "INFO:     200\n" * 2


def test_a_handler_of_the_roots_gets_records_if_they_propagate(stdout: io.StringIO, exchange: Any) -> None:
    keeper = Keeper()
    logging.getLogger().addHandler(keeper)
    logging.getLogger("portway").propagate = True
    logging.getLogger("portway.access").propagate = True
    tell(begin("%(status)d"), exchange)
    assert [each.getMessage() for each in keeper.records] == ["200"]


@pytest.mark.parametrize("where", ["logger", "handler"])
def test_a_filter_of_the_users_is_asked(stdout: io.StringIO, exchange: Any, where: str) -> None:
    logger = logging.getLogger("portway.access")
    target = logger if where == "logger" else logger.handlers[0]
    target.addFilter(lambda record: "404" in record.getMessage())
    other = type(exchange)(status=404)
    tell(begin("%(status)d"), exchange, other)
    assert stdout.getvalue() == "INFO:     404\n"


def test_a_record_factory_and_a_formatter_of_the_users_are_used(stdout: io.StringIO, exchange: Any) -> None:
    def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = logging.LogRecord(*args, **kwargs)
        record.extra = "made"
        return record

    logging.setLogRecordFactory(factory)
    logging.getLogger("portway.access").handlers[0].setFormatter(logging.Formatter("%(extra)s %(message)s"))
    tell(begin("%(status)d"), exchange)
    assert stdout.getvalue() == "made 200\n"


def test_a_formatter_alone_is_used_as_well(stdout: io.StringIO, exchange: Any) -> None:
    logging.getLogger("portway.access").handlers[0].setFormatter(logging.Formatter("> %(message)s"))
    tell(begin("%(status)d"), exchange)
    assert stdout.getvalue() == "> 200\n"


def silenced_by_level(access: logging.Logger) -> None:
    access.setLevel(logging.WARNING)


def silenced_by_its_handler(access: logging.Logger) -> None:
    access.handlers[0].setLevel(logging.WARNING)


def silenced_by_being_disabled(access: logging.Logger) -> None:
    access.disabled = True


@pytest.mark.parametrize("silence", [silenced_by_level, silenced_by_its_handler, silenced_by_being_disabled])
def test_a_silenced_logger_is_silent(
    stdout: io.StringIO, exchange: Any, silence: Callable[[logging.Logger], None]
) -> None:
    silence(logging.getLogger("portway.access"))
    tell(begin(None), exchange)
    assert stdout.getvalue() == ""


def test_what_is_remembered_of_clients_is_bounded(exchange: Any) -> None:
    for port in range(5000):
        exchange.client = ("192.0.2.7", port)
        assert line_of(None)(exchange).startswith(f"192.0.2.7:{port} - ")
    assert len(access.CLIENTS) <= 1024
