"""The traceback of an application's own error."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from portway.target import locate
from portway.target.trace import own_traceback, reached_application

Write = Callable[[str, str], Path]


def fault_of(call: Callable[[], object]) -> BaseException:
    with pytest.raises((Exception, SystemExit)) as caught:
        call()
    return caught.value


def test_frames_of_importlib_and_of_ours_are_left_out(home: Path, write: Write) -> None:
    write("outer.py", "import importlib\nimportlib.import_module('inner')\n")
    write("inner.py", "1 / 0\n")
    fault = fault_of(lambda: locate("outer:app")).__cause__
    assert fault is not None
    lines = own_traceback(fault).splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert [line for line in lines if line.startswith("  File")] == [
        f'  File "{home}/outer.py", line 2, in <module>',
        f'  File "{home}/inner.py", line 1, in <module>',
    ]
    assert lines[-1] == "ZeroDivisionError: division by zero"


def test_the_errors_that_an_error_came_from_are_stripped_too(home: Path, write: Write) -> None:
    write(
        "main.py",
        "from importlib import import_module\n"
        "try:\n    import_module('absent_one')\n"
        "except ImportError as fault:\n    raise RuntimeError('no') from fault\n",
    )
    fault = fault_of(lambda: locate("main:app")).__cause__
    assert fault is not None
    trace = own_traceback(fault)
    assert "ModuleNotFoundError: No module named 'absent_one'" in trace
    assert trace.endswith("RuntimeError: no")
    assert [line.split(", ")[0] for line in trace.splitlines() if line.startswith("  File")] == [
        f'  File "{home}/main.py"'
    ] * 2


def test_an_error_without_a_frame_of_the_application_has_no_empty_traceback(home: Path, write: Write) -> None:
    write("main.py", "def app(:\n")
    fault = fault_of(lambda: locate("main:app")).__cause__
    assert fault is not None
    assert not reached_application(fault)
    trace = own_traceback(fault)
    assert trace.startswith(f'  File "{home}/main.py", line 1')
    assert trace.endswith("SyntaxError: invalid syntax")


def test_an_error_in_a_frame_of_the_application_has_reached_it() -> None:
    assert reached_application(fault_of(lambda: json.loads("{")))
