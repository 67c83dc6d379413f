"""The Pythons of this machine, and a virtual environment for the peers and for Portway on each."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

VENVS = Path("bench", ".venvs")
OLDEST = (3, 11)
# What Portway is made of; a change in any of these builds it anew.
SOURCES = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "src")
BUILT = {".so", ".pyd", ".c", ".pyc"}
UNBUILT = shutil.ignore_patterns("*.egg-info", *(f"*{ending}" for ending in BUILT))
BUILD_PATIENCE = 1800

ASK = "import sys; print(sys.implementation.name, *sys.version_info[:3], getattr(sys, 'abiflags', ''))"


TELLING = re.compile(r"^(?!.*(Warning|subprocess)).*(\berror: |Error: |\.(py|pxd|c):\d+:)")


class Failed(Exception):
    """An environment cannot be made; the message is for a person."""


@dataclass(frozen=True)
class Python:
    path: str
    version: tuple[int, int, int]

    @property
    def name(self) -> str:
        return "{}.{}".format(*self.version)

    @property
    def full_name(self) -> str:
        return "{}.{}.{}".format(*self.version)


def ask(path: str) -> Python | None:
    """The Python behind a path; None for a shim that does not run, a PyPy or a free-threaded build."""
    try:
        told = subprocess.run([path, "-c", ASK], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    words = told.stdout.split()
    if told.returncode or words[0] != "cpython" or "t" in "".join(words[4:]):
        return None
    version = tuple(map(int, words[1:4]))
    return Python(path, version) if version >= OLDEST else None


def pythons() -> dict[str, Python]:
    """The newest patch release of each version that is found, newest version first."""
    candidates = [sys.executable]
    for folder in os.get_exec_path():
        candidates += map(str, Path(folder).glob("python3*")) if Path(folder).is_dir() else []
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates += map(str, pyenv.glob("versions/*/bin/python3"))
    found: dict[str, Python] = {}
    for path in dict.fromkeys(candidates):
        if re.fullmatch(r"python(3(\.\d+)?)?", Path(path).name):
            python = ask(path)
            if python and (python.name not in found or found[python.name].version < python.version):
                found[python.name] = python
    return dict(sorted(found.items(), key=lambda item: item[1].version, reverse=True))


def chosen(wanted: str | None) -> list[Python]:
    """The Pythons asked for, by version or path; else the newest from 3.12 on, and 3.11."""
    found = pythons()
    if wanted:
        picked = {word: found.get(word) or ask(word) for word in wanted.split(",")}
        missing = [word for word, python in picked.items() if not python]
        if missing:
            raise Failed(f"no CPython {' or '.join(missing)} here; found: {', '.join(found) or 'none'}")
        return list(picked.values())
    newest = [python for python in found.values() if python.version >= (3, 12)][:1]
    return newest + [python for name, python in found.items() if name == "3.11"]


@dataclass(frozen=True)
class Environment:
    """A virtual environment under bench/.venvs; its `name` is peers, portway or tools."""

    python: Python
    name: str

    @property
    def folder(self) -> Path:
        return VENVS / self.python.name / self.name

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    def make(self) -> None:
        told = self.folder / "made-with"
        if told.exists() and told.read_text() == self.python.full_name:
            return
        print(f"making {self.folder} …", flush=True)
        run([self.python.path, "-m", "venv", "--clear", str(self.folder)])
        told.write_text(self.python.full_name)

    def install(self, *packages: str, env: dict[str, str] | None = None) -> None:
        self._pip("install", "--quiet", "--upgrade", *packages, env=env)

    def uninstall(self, package: str) -> None:
        self._pip("uninstall", "--quiet", "--yes", package)

    def _pip(self, *words: str, env: dict[str, str] | None = None) -> str:
        return run([str(self.bin / "python"), "-m", "pip", "--disable-pip-version-check", *words], env)

    @cached_property
    def versions(self) -> dict[str, str]:
        """Each package that is installed, by its name in lower case with dashes."""
        listed = json.loads(self._pip("list", "--format", "json"))
        return {re.sub(r"[-_.]+", "-", item["name"]).lower(): item["version"] for item in listed}


def run(command: list[str], env: dict[str, str] | None = None) -> str:
    env = {**os.environ, **(env or {})}
    ran = subprocess.run(command, env=env, capture_output=True, text=True, timeout=BUILD_PATIENCE)
    if ran.returncode:
        said = (ran.stderr + ran.stdout).strip().splitlines()
        # pip wraps what went wrong in words of its own; a compiler's line says more.
        telling = [line.strip() for line in said if TELLING.search(line)]
        told = (telling or said)[:3] or ["it said nothing"]
        raise Failed(f"{' '.join(command[:4])} failed: " + " / ".join(told))
    return ran.stdout


def peers_environment(python: Python, wanted: dict[str, tuple[str, ...]], upgrade: bool) -> dict[str, str]:
    """Install each peer's packages; return what failed, by the peer's name.

    `wanted` names packages for each peer. Each is installed on its own: one that has no wheel for
    this Python must not take the others with it.
    """
    environment = Environment(python, "peers")
    environment.make()
    failed = {}
    for peer, packages in wanted.items():
        if not upgrade and all(package in environment.versions for package in packages):
            continue
        print(f"installing {', '.join(packages)} for {python.name} …", flush=True)
        try:
            environment.install("--prefer-binary", *packages)
        except Failed as error:
            failed[peer] = str(error)
    environment.__dict__.pop("versions", None)  # to be asked anew
    return failed


def fingerprint() -> str:
    """A digest of Portway's sources, those that stand in the tree now."""
    digest = hashlib.sha256()
    for name in SOURCES:
        for path in sorted([Path(name)] if Path(name).is_file() else Path(name).rglob("*")):
            if path.is_file() and path.suffix not in BUILT and "egg-info" not in str(path):
                digest.update(f"{path}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def portway_environment(python: Python, companions: tuple[str, ...], upgrade: bool) -> str | None:
    """Build Portway from the tree, compiled, where it has changed; return what failed, or None.

    The companions (the loop, FastAPI) are installed even when the build fails: the floor needs them.
    The build runs on a copy: an in-tree one would leave old modules in build/ and carry them along.
    """
    environment = Environment(python, "portway")
    environment.make()
    mark = environment.folder / "built-from"
    now = fingerprint()
    if upgrade or any(package not in environment.versions for package in companions):
        environment.install("--prefer-binary", *companions)
    environment.__dict__.pop("versions", None)
    if mark.exists() and mark.read_text() == now:
        return None
    print(f"building Portway for {python.name} …", flush=True)
    mark.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in SOURCES:
            source = Path(name)
            if source.is_dir():
                shutil.copytree(source, Path(folder, name), ignore=UNBUILT)
            elif source.exists():
                shutil.copy(source, folder)
        try:
            environment.install("--force-reinstall", "--no-deps", folder, env={"REQUIRE_EXTENSIONS": "1"})
            environment.install("portway")  # nothing but what it still lacks
        except Failed as error:
            environment.uninstall("portway")  # an older one must not be measured in its place
            return str(error)
    mark.write_text(now)
    return None


def run_tool(package: str, *words: str) -> None:
    """Run a program of bench/ that needs a package, on the Python that runs the harness."""
    python = ask(sys.executable) or next(iter(pythons().values()))
    environment = Environment(python, "tools")
    environment.make()
    if package not in environment.versions:
        print(f"installing {package} …", flush=True)
        environment.install("--prefer-binary", package)
    run([str(environment.bin / "python"), *words])
