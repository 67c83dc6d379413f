"""Every module imports alone, and the public surface is the documented one."""

import os
import subprocess
import sys

import pytest

import portway
from portway._modes import HOME

# What docs/ promises to keep; a change here is a change for users and belongs in CHANGELOG.md.
PUBLIC = [
    "BindError",
    "ClientDisconnected",
    "Fallback",
    "LifespanFailed",
    "LoadError",
    "MessageError",
    "Mounts",
    "PortwayError",
    "Server",
    "Settings",
    "SettingsError",
    "WSGI",
    "WSGIError",
    "WorkerInfo",
    "__version__",
    "run",
]

# Packages behind the extras. A module may need one of them to be imported.
OPTIONAL = {"aioquic", "libcst", "prometheus_client", "redis", "rich", "watchfiles", "yaml"}

# Imports each module in a fork of its own: as fresh as a new interpreter, at a tenth of the price.
ALONE = """
import asyncio, importlib, os, ssl, sys, traceback

for name in sys.argv[1].split(","):
    sys.stderr.flush()
    if (child := os.fork()) == 0:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name.partition(".")[0] not in sys.argv[2].split(","):
                traceback.print_exc()
        except BaseException:
            traceback.print_exc()
        sys.stderr.flush()
        os._exit(0)
    os.waitpid(child, 0)
"""


def modules() -> list[str]:
    files = (file.relative_to(HOME.parent).with_suffix("") for file in HOME.rglob("*.py"))
    names = (".".join(file.parts).removesuffix(".__init__") for file in files)
    return sorted(name for name in names if not name.endswith("__main__"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork to be fast")
def test_every_module_imports_alone() -> None:
    command = [sys.executable, "-c", ALONE, ",".join(modules()), ",".join(OPTIONAL)]
    tracebacks = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    assert not tracebacks, tracebacks


def test_public_names_are_the_documented_ones() -> None:
    assert sorted(getattr(portway, "__all__", [])) == sorted(PUBLIC)


def test_every_public_name_exists() -> None:
    assert [name for name in PUBLIC if not hasattr(portway, name)] == []
