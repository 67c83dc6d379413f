"""The mode asked for is the mode loaded, and it is one mode."""

import os
import subprocess
import sys
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from portway import _modes


def wanted(variable: str) -> bool:
    return os.environ.get(variable, "0") not in ("", "0")


def is_extension(file: str) -> bool:
    return file.endswith(tuple(EXTENSION_SUFFIXES))


def test_mode_asked_for_is_the_mode_reported() -> None:
    if wanted("PORTWAY_PURE"):
        assert _modes.mode() == "interpreted (forced)"
    elif wanted("REQUIRE_EXTENSIONS"):
        assert _modes.mode() == "compiled"
    else:  # a machine without a C compiler is as good as one with it
        assert _modes.mode() in ("compiled", "interpreted")


def test_mode_reported_is_the_mode_loaded() -> None:
    compiled = _modes.mode() == "compiled"
    files = {name: str(import_module(name).__file__) for name in _modes.compilable_modules()}
    assert {name: file for name, file in files.items() if is_extension(file) is not compiled} == {}
    assert _modes.compiled_modules() == (_modes.compilable_modules() if compiled else [])


def test_pure_process_runs_the_source_beside_each_extension() -> None:
    script = (
        "from importlib import import_module; from portway import _modes; print(_modes.mode());"
        "print(*(import_module(name).__file__ for name in _modes.compilable_modules()), sep='\\n')"
    )
    output = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PORTWAY_PURE": "1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    mode, *files = output.split("\n")[:-1]
    assert mode == "interpreted (forced)"
    assert [file for file in files if is_extension(file)] == []


def test_pure_hook_is_absent_unless_asked_for() -> None:
    script = "import sys, portway; print('portway._modes' in sys.modules, len(sys.meta_path))"
    environment = {name: value for name, value in os.environ.items() if name != "PORTWAY_PURE"}
    bare = [sys.executable, "-c", "import sys; print(len(sys.meta_path))"]
    finders = subprocess.run(bare, env=environment, capture_output=True, text=True, check=True).stdout
    for value in ("", "0"):
        environment["PORTWAY_PURE"] = value
        output = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
        ).stdout
        assert output.split() == ["False", finders.strip()]


def test_half_compiled_package_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one.py", "one.pxd", f"one{EXTENSION_SUFFIXES[0]}", "two.py", "two.pxd"):
        (tmp_path / name).touch()
    monkeypatch.setattr(_modes, "HOME", tmp_path)
    monkeypatch.setattr(sys, "meta_path", [one for one in sys.meta_path if one is not _modes.SourceFirst])
    assert _modes.compiled_modules() == ["portway.one"]
    with pytest.raises(ImportError, match=r"half compiled: portway\.two is interpreted"):
        _modes.mode()


def test_no_extension_is_older_than_its_source() -> None:
    if _modes.HOME.parent.name != "src":
        pytest.skip("installed files have the times of their installation")
    stale = []
    for name in _modes.compiled_modules():
        stem = _modes.HOME.joinpath(*name.split(".")[1:])
        built = next(file for suffix in EXTENSION_SUFFIXES if (file := stem.with_name(stem.name + suffix)).exists())
        sources = (stem.with_suffix(".py"), stem.with_suffix(".pxd"))
        if any(source.stat().st_mtime > built.stat().st_mtime for source in sources):
            stale.append(name)
    assert stale == [], "run `make build`"
