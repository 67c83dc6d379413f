"""What people are told of a worker."""

import pytest

from portway.workers.info import WorkerInfo, how_it_ended, span


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (0.25, "0.2 s"), (59.9, "59.9 s"), (60, "1 min 0 s"), (3599.9, "59 min 59 s"),
     (3600, "1 h 0 min"), (86399, "23 h 59 min"), (86400, "1 d 0 h"), (1e6, "11 d 13 h")],
)  # fmt: skip
def test_a_time_is_for_people(seconds: float, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("code", "memory", "text"),
    [
        (0, 3 * 2**20, "(process 12) ended with exit code 0 after 1 min 5 s: 7 requests, 3 MiB"),
        (-9, None, "(process 12) was ended by SIGKILL after 1 min 5 s: 7 requests"),
        (-63, None, "(process 12) was ended by signal 63 after 1 min 5 s: 7 requests"),
        (None, None, "(process 12) is gone after 1 min 5 s: 7 requests"),
    ],
)
def test_an_end_is_told_with_how_long_and_how_much(code: int | None, memory: int | None, text: str) -> None:
    assert how_it_ended(WorkerInfo(1, 12, "ready", 65.0, 7, 0, 0, 0.0, memory, code)) == text
