"""What the documentation says of the code is so: commands, settings, links, Python, refusals."""

import ast
import importlib.util
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

import portway
import portway.testing
from portway.boot import callbacks
from portway.cli import control, options
from portway.cli.root import root
from portway.config import catalogue
from portway.observe import access

HOME = Path(__file__).parent.parent
DOCS = HOME / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *HOME.glob("*.md"), *(HOME / "examples").rglob("*.md")])

FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*?)(?: *\{ *#([\w-]+) *\})?$", re.MULTILINE)

# What is raised for what a peer did wrong.
FAULTS = ("ProtocolFault", "HandshakeFault", "FrameFault", "ConnectionFault", "StreamFault")


def load_generator() -> Any:
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "hooks" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATE = load_generator()


def text_of(page: Path) -> str:
    """As the reader sees it: with what is generated."""
    return str(GENERATE.on_page_markdown(page.read_text("utf-8")))


def blocks(language: str) -> Iterator[tuple[str, str]]:
    """Every fenced block in a language: its page's name, and its text."""
    for page in PAGES:
        for found, text in FENCE.findall(page.read_text("utf-8")):
            if found == language:
                yield str(page.relative_to(HOME)), text


def command_lines() -> list[str]:
    """Every `portway …` that a page tells to type, or that a unit or a container is told to run."""
    texts = [page.read_text("utf-8") for page in PAGES]
    found = [line for text in texts for line in re.findall(r"^\$ (portway .*)$", text, re.MULTILINE)]
    found += [line for text in texts for line in re.findall(r"^ExecStart=\S*/(portway .*)$", text, re.MULTILINE)]
    found += [line for text in texts for line in re.findall(r"`(portway [^`\n]*)`", text)]
    return sorted(set(found))


def parse(words: list[str]) -> None:
    """As the command would, up to the moment when something is done."""
    if words in (["--version"], ["serve", "--help"]):
        return
    known = click.Context(root)
    name = words.pop(0) if words and words[0] in root.list_commands(known) else "serve"
    command = root.get_command(known, name)
    assert command is not None
    # click remembers the options of a command's help from its first call on.
    with command.make_context(f"portway {name}", words, **root.context_settings) as context:
        if isinstance(context.command, options.SettingsCommand):
            options.loaded(context)


def slug(heading: str) -> str:
    """As mkdocs makes it."""
    return re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())


def anchors(page: Path) -> set[str]:
    prose = FENCE.sub("", text_of(page))
    return {given or slug(heading) for heading, given in HEADING.findall(prose)}


def faults() -> Iterator[list[str]]:
    """The constant parts of the text of every fault of a peer's."""
    for file in Path(portway.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FAULTS:
                text = node.args[0]
                ways = [text.body, text.orelse] if isinstance(text, ast.IfExp) else [text]
                for way in ways:
                    parts = [each for each in ast.walk(way) if isinstance(each, ast.Constant)]
                    yield [part.value for part in parts if isinstance(part.value, str)]


# --- what a reader types ---


@pytest.mark.parametrize("line", command_lines())
def test_a_command_line_can_be_typed(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "certs").mkdir()
    pairs = [f"certs/{name}.{kind}" for name in ("a", "b", "ca", "localhost") for kind in ("pem", "key")]
    for name in ("logging.toml", "logging.yaml", "cert.pem", "key.pem", *pairs):
        (tmp_path / name).touch()
    try:
        parse(shlex.split(line, comments=True)[1:])
    except click.ClickException as refusal:
        pytest.fail(f"{line}: {refusal.format_message()}")
    except portway.SettingsError as refusal:
        # What is shown because it is refused is said to be so beside it.
        pytest.fail(f"{line}: {refusal}")


def test_commands_were_found() -> None:
    assert "portway serve main:app" in command_lines()


def test_python_compiles() -> None:
    for page, text in blocks("python"):
        compile(text, page, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


def test_toml_can_be_read() -> None:
    for _, text in blocks("toml"):
        tomllib.loads(text)


def test_settings_in_a_portway_toml_are_settings() -> None:
    tables = [tomllib.loads(text) for _, text in blocks("toml") if text.startswith("target = ")]
    assert tables
    assert [key for table in tables for key in table if key.replace("-", "_") not in catalogue()] == []


# --- what a reader looks up ---


def test_every_setting_is_in_the_reference() -> None:
    page = text_of(DOCS / "reference" / "settings.md")
    for setting in catalogue().values():
        assert f"\n### {setting.name}\n" in page
        for word in (*setting.options, *setting.variables):
            assert f"`{word}`" in page


def test_every_variable_is_in_the_reference() -> None:
    page = text_of(DOCS / "reference" / "environment.md")
    assert [name for each in catalogue().values() for name in each.variables if f"| `{name}` |" not in page] == []
    assert "| `PORTWAY_PURE` |" in page


def test_every_public_name_is_in_the_reference() -> None:
    for module, name in ((portway, "api.md"), (portway.testing, "testing.md")):
        page = text_of(DOCS / "reference" / name)
        public = [each for each in module.__all__ if not each.startswith("__")]
        assert [each for each in public if f"\n## {module.__name__}.{each}\n" not in page] == []


def test_every_name_of_the_access_log_is_in_the_reference() -> None:
    page = text_of(DOCS / "reference" / "access-log.md")
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == list(access.FIELDS)


def test_every_refusal_is_in_the_reference() -> None:
    page = text_of(DOCS / "reference" / "refusals.md")
    found = list(faults())
    assert len(found) > 20
    assert [parts for parts in found if not all(part in page for part in parts)] == []


def test_every_option_of_uvicorn_that_is_refused_is_in_the_guide() -> None:
    page = text_of(DOCS / "how-to" / "uvicorn.md")
    absent = (*options.ABSENT_SWITCHES, *options.ABSENT_OPTIONS)
    assert [name for name in absent if f"`{name}`" not in page] == []


def test_every_hook_is_in_the_guide() -> None:
    page = text_of(DOCS / "how-to" / "hooks.md")
    table = re.findall(r"^\| `(\w+)\([^)]*\)` \|", page, re.MULTILINE)
    assert table == [*callbacks.NAMES, callbacks.ONCE]
    example = next(text for found, text in FENCE.findall(page) if found == "python")
    functions = [each.name for each in ast.parse(example).body if isinstance(each, ast.FunctionDef)]
    assert functions == list(callbacks.NAMES)


def test_all_that_is_told_of_a_worker_is_in_the_guides() -> None:
    page = text_of(DOCS / "how-to" / "hooks.md").partition("## WorkerInfo")[2]
    cells = re.findall(r"^\| (`.*`) \|", page, re.MULTILINE)
    named = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(named) == sorted(portway.WorkerInfo._fields)
    page = text_of(DOCS / "how-to" / "workers.md")
    head = next(line for line in page.splitlines() if line.startswith("worker "))
    assert tuple(head.split()) == control.HEAD


# --- links ---


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(HOME)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(FENCE.sub("", text_of(page))):
        path, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", path):
            continue
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), link
        if anchor:
            assert anchor in anchors(there), link


@pytest.mark.skipif(importlib.util.find_spec("material") is None, reason="needs the extra docs")
def test_the_documentation_builds(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(tmp_path)]
    subprocess.run(command, cwd=HOME, check=True)
    assert (tmp_path / "index.html").is_file()
