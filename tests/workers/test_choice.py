"""Which files count for --reload."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from watchfiles import DefaultFilter

from portway.workers.choice import Choice

Chosen = Callable[..., Choice]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, in which we are."""
    home = tmp_path.resolve() / "project"
    for folder in ("src/shop", "templates/mails", "tests/unit", ".venv/lib/thing", "src/shop/__pycache__"):
        (home / folder).mkdir(parents=True)
    monkeypatch.chdir(home)
    return home


def chosen(**given: Any) -> Choice:
    lists = {"folders": ["."], "include": (), "exclude": (), "files": ()} | given
    return Choice(
        **lists, ignored_folders=DefaultFilter.ignore_dirs, ignored_names=DefaultFilter.ignore_entity_patterns
    )


PATHS = (
    "main.py",
    "README.md",
    "page.html",
    ".hidden.py",
    ".env",
    ".#main.py",
    "main.py~",
    "main.pyc",
    "src/shop/cart.py",
    "src/shop/__pycache__/cart.py",
    "templates/base.html",
    "templates/base.txt",
    "templates/mails/order.html",
    "templates/mails/order.py",
    "tests/test_cart.py",
    "tests/unit/test_cart.py",
    ".venv/lib/thing/code.py",
    ".git/hooks/post.py",
    "node_modules/gyp/setup.py",
)
PYTHON = {
    "main.py", "src/shop/cart.py", "templates/mails/order.py", "tests/test_cart.py", "tests/unit/test_cart.py",
}  # fmt: skip


@pytest.mark.parametrize(
    ("given", "more", "less"),
    [
        ({}, set(), set()),
        ({"include": ["*.html"]}, {"page.html", "templates/base.html", "templates/mails/order.html"}, set()),
        ({"include": ["templates/*.html"]}, {"templates/base.html", "templates/mails/order.html"}, set()),
        ({"include": ["templates/**/*.html"]}, {"templates/mails/order.html"}, set()),
        ({"include": ["base.*"]}, {"templates/base.html", "templates/base.txt"}, set()),
        ({"include": [".env"]}, {".env"}, set()),
        ({"include": ["*"]}, {"README.md", "page.html", "templates/base.html", "templates/base.txt",
                              "templates/mails/order.html"}, set()),
        ({"include": ["templates"]}, {"templates/base.html", "templates/base.txt",
                                      "templates/mails/order.html"}, set()),
        ({"exclude": ["test_*.py"]}, set(), {"tests/test_cart.py", "tests/unit/test_cart.py"}),
        ({"exclude": ["tests"]}, set(), {"tests/test_cart.py", "tests/unit/test_cart.py"}),
        ({"exclude": ["tests/unit"]}, set(), {"tests/unit/test_cart.py"}),
        ({"exclude": ["unit"]}, set(), {"tests/unit/test_cart.py"}),
        ({"exclude": ["tests/*"]}, set(), {"tests/test_cart.py", "tests/unit/test_cart.py"}),
        ({"exclude": ["te*"]}, set(), {"tests/test_cart.py", "tests/unit/test_cart.py", "templates/mails/order.py"}),
        ({"exclude": ["*.py"]}, set(), PYTHON),
        ({"exclude": ["project"]}, set(), set()),  # the way to it says nothing
        ({"include": ["*.html"], "exclude": ["templates"]}, {"page.html"}, {"templates/mails/order.py"}),
        ({"folders": ["src", "tests/unit"]}, set(), {"main.py", "templates/mails/order.py", "tests/test_cart.py"}),
        ({"folders": [".", ".venv/lib"]}, {".venv/lib/thing/code.py"}, set()),  # who names it means it
        ({"files": [".env", "README.md", "../other.toml"]}, {".env", "README.md"}, set()),
        ({"files": [".venv/lib/thing/code.py"], "exclude": ["*"]}, {".venv/lib/thing/code.py"}, PYTHON),
    ],
)  # fmt: skip
def test_what_counts(home: Path, given: dict[str, Any], more: set[str], less: set[str]) -> None:
    choice = chosen(**given)
    assert {path for path in PATHS if choice.counts(home / path)} == (PYTHON | more) - less


def test_patterns_may_be_absolute(home: Path) -> None:
    choice = chosen(include=[f"{home}/templates/*.html"], exclude=[f"{home}/src"])
    assert choice.counts(home / "templates/base.html")
    assert not choice.counts(home / "src/shop/cart.py")


def test_what_lies_elsewhere_does_not_count(home: Path) -> None:
    choice = chosen(files=["../other.toml"])
    assert not choice.counts(home.parent / "main.py")
    assert choice.counts(home.parent / "other.toml")
    assert choice.homes == {home.parent}


def test_a_link_counts_and_so_does_what_it_leads_to(home: Path, tmp_path: Path) -> None:
    (tmp_path / "real.env").touch()
    (home / "link.env").symlink_to(tmp_path / "real.env")
    choice = chosen(files=["link.env"])
    assert choice.counts(home / "link.env")
    assert choice.counts(tmp_path.resolve() / "real.env")


def test_a_folder_is_no_file(home: Path) -> None:
    choice = chosen(include=["templates"])
    assert not choice.counts(home / "templates" / "mails")
    assert not choice.counts(home)
    assert choice.enters(home / "templates" / "mails")
    assert not choice.enters(home / ".git")
    assert not choice.enters(home.parent)
