"""The plan of the house, held: who imports whom, what `wire` must not know, how long a file may be."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import portway

HOME = Path(portway.__file__).parent
GROUND = {"errors", "types", "hooks", "cpus", "memory"}

# Each room and what stands below it. A dotted entry opens one module of a room only.
# `__init__` is the package's own face; boot is the composition root: both know everything.
BELOW: dict[str, set[str]] = {
    "errors": set(),
    "types": set(),
    "hooks": set(),
    "cpus": set(),
    "memory": set(),
    "_modes": set(),
    "wire": {"errors"},
    "asgi": {*GROUND, "wire"},
    "link": {*GROUND, "asgi", "wire"},
    "server": {*GROUND, "link", "asgi", "wire"},
    "workers": {"errors", "types", "memory"},
    "wsgi": {"errors", "types", "cpus"},
    "channels": {"errors", "types"},
    "probe": {"errors", "types"},
    "target": {"errors", "types"},
    "compose": {"errors", "types", "asgi.lifespan", "target", "wsgi"},
    "observe": {*GROUND},
    "conform": {"errors", "types", "probe"},
    "migrate": {"errors", "types", "probe", "observe", "wsgi"},
    "config": {"errors", "cpus"},
    "testing": {"probe"},
    "pytest_plugin": {"testing"},
    "cli": {
        "errors",
        "boot",
        "config",
        "conform",
        "migrate",
        "target",
        "workers.asking",
        "workers.pidfile",
        "workers.info",
        "workers.init",
        "_modes",
        "__init__",
    },
    "__main__": {"cli"},
}
LAZILY = {"probe": {"boot"}}  # inside a function only: portway.testing.serve starts a server
FREE = {"__init__", "boot"}
BANNED_IN_WIRE = {"asyncio", "socket", "ssl", "time", "logging"}

CIMPORT = re.compile(r"^(?:from\s+(\.*)([\w.]*)\s+)?cimport\s+\(?\s*([\w., ]+)", re.MULTILINE)


def sources(suffix: str) -> list[Path]:
    return sorted(HOME.rglob("*" + suffix))


def room_of(file: Path) -> str:
    return file.relative_to(HOME).with_suffix("").parts[0]


def imports(file: Path) -> Iterator[tuple[str, bool]]:
    """Each name that a file imports, in full, and whether it does so only in a function or for types."""
    package = [portway.__name__, *file.relative_to(HOME).parts[:-1]]

    def full(level: int, origin: str | None, name: str) -> str:
        start = package[: len(package) + 1 - level] if level else []
        return ".".join([*start, *filter(None, [origin, name])])

    if file.suffix == ".pxd":
        for dots, origin, names in CIMPORT.findall(file.read_text()):
            for name in filter(None, map(str.strip, names.split(","))):
                yield full(len(dots), origin, name.split()[0]), False
        return
    tree = ast.parse(file.read_text())
    # What stands in a function, or under `if TYPE_CHECKING:`, is not imported with the file.
    late = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.If))
    lazy = {id(node) for block in late for node in ast.walk(block)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in lazy) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((full(node.level, node.module, alias.name), id(node) in lazy) for alias in node.names)


def inner(name: str) -> str | None:
    """The module of Portway that a name lies in, without the package's own; None for all others."""
    first, *rest = name.split(".")
    if first != portway.__name__:
        return None
    is_room = rest and (HOME.joinpath(rest[0]).is_dir() or HOME.joinpath(rest[0] + ".py").is_file())
    return ".".join(rest) if is_room else "__init__"


def allowed(room: str, module: str, lazy: bool) -> bool:
    below = BELOW[room] | (LAZILY.get(room, set()) if lazy else set())
    return module.split(".")[0] == room or any(f"{module}.".startswith(f"{entry}.") for entry in below)


def assert_none(faults: Iterable[str]) -> None:
    faults = list(faults)
    assert not faults, "\n".join(["", *faults])


def test_a_room_imports_only_what_stands_below_it() -> None:
    files = [file for file in sources(".py") + sources(".pxd") if room_of(file) not in FREE]
    assert_none(f"{room} has no line in BELOW" for room in {room_of(file) for file in files} - set(BELOW))
    assert_none(
        f"{file.relative_to(HOME)} imports {module}"
        for file in files
        for name, lazy in imports(file)
        if (module := inner(name)) and not allowed(room_of(file), module, lazy)
    )


def test_wire_knows_no_loop_no_socket_no_clock_and_no_log() -> None:
    assert_none(
        f"{file.relative_to(HOME)} imports {name}"
        for file in sources(".py")
        for name, _ in imports(file)
        if room_of(file) == "wire" and name.split(".")[0] in BANNED_IN_WIRE
    )


def test_no_file_is_longer_than_500_lines() -> None:
    lengths = {file: len(file.read_text().splitlines()) for file in sources(".py") + sources(".pxd")}
    assert_none(f"{file.relative_to(HOME)}: {length}" for file, length in lengths.items() if length > 500)


def test_each_pxd_stands_beside_its_py() -> None:
    assert_none(str(pxd) for pxd in sources(".pxd") if not pxd.with_suffix(".py").exists())


def test_each_folder_is_a_package() -> None:
    folders = {file.parent for file in sources(".py")}
    assert_none(str(folder) for folder in folders if not (folder / "__init__.py").exists())
