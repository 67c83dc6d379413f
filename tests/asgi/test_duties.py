"""Every duty to an application that the server has taken on is named by a test that holds it."""

import re
from pathlib import Path

# The numbers of the list; files (56, 57) are not served yet.
HTTP = range(1, 33)
WEBSOCKET = range(33, 47)
LIFESPAN = range(47, 53)
TLS, TRAILERS, EARLY_HINTS = 53, 54, 55

NAMED = re.compile(r"^(?:async )?def test_\w+\(.*# ASGI ([\d, ]+)$", re.MULTILINE)


def named() -> set[int]:
    """The numbers behind the signatures of the tests beside this one."""
    files = sorted(Path(__file__).parent.glob("test_*.py"))
    lists = (found for file in files if file.name != Path(__file__).name for found in NAMED.findall(file.read_text()))
    return {int(number) for each in lists for number in each.split(",")}


def test_every_duty_is_named_by_a_test() -> None:
    assert {*HTTP, *WEBSOCKET, *LIFESPAN, TLS, TRAILERS, EARLY_HINTS} - named() == set()
