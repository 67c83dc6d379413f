"""The traceback of an application's own error, from its first frame on."""

from __future__ import annotations

import importlib
from pathlib import Path
from traceback import StackSummary, TracebackException

# What stands between our call and the application's first line.
NOT_THEIRS = ("<frozen importlib", str(Path(importlib.__file__).parent), str(Path(__file__).parent))


def own_traceback(fault: BaseException) -> str:
    """The formatted traceback without the frames of importlib and of this room."""
    trace = TracebackException.from_exception(fault)
    _strip(trace, set())
    lines = trace.format() if trace.stack else trace.format_exception_only()
    return "".join(lines).rstrip("\n")


def reached_application(fault: BaseException) -> bool:
    """Whether a line of the application's code ran before the error."""
    return bool(_theirs(TracebackException.from_exception(fault, lookup_lines=False).stack))


def _strip(trace: TracebackException | None, seen: set[int]) -> None:
    """Strip it and the exceptions it came from, in place."""
    if trace is None or id(trace) in seen:
        return
    seen.add(id(trace))
    trace.stack[:] = _theirs(trace.stack)
    for other in (trace.__cause__, trace.__context__, *(trace.exceptions or ())):
        _strip(other, seen)


def _theirs(stack: StackSummary) -> StackSummary:
    return StackSummary(frame for frame in stack if not frame.filename.startswith(NOT_THEIRS))
