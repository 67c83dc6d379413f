"""Changes of files are told: of whole folders, of single files, and of folders that come and go."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from portway import SettingsError
from portway.workers.watch import Watcher

PATIENCE = 20.0


class Seen:
    """What a watcher tells, up to what is waited for."""

    def __init__(self, watcher: Watcher) -> None:
        self._sets: AsyncIterator[set[Path]] = aiter(watcher)

    async def until(self, *paths: Path) -> set[Path]:
        """All that is told until all of these were."""
        found: set[Path] = set()
        async with asyncio.timeout(PATIENCE):
            while not found.issuperset(paths):
                found |= await anext(self._sets)
        return found


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path.resolve() / "project"
    (home / "src").mkdir(parents=True)
    (home / "src" / "main.py").write_text("1")
    monkeypatch.chdir(home)
    return home


def watching(story: Callable[[Seen], Any], folders: tuple[str, ...] = (".",), **rest: Any) -> None:
    """Play the story to a watcher that watches already."""
    watcher = Watcher(folders, **rest)

    async def play() -> None:
        seen = Seen(watcher)
        try:
            await story(seen)
        finally:
            await seen._sets.aclose()  # type: ignore[attr-defined]

    asyncio.run(play())


def test_a_change_is_told_even_of_before_anybody_asked(home: Path) -> None:
    watcher = Watcher(["."])
    (home / "src" / "main.py").write_text("2")

    async def play() -> None:
        async for changed in watcher:
            assert changed == {home / "src" / "main.py"}
            break

    asyncio.run(asyncio.wait_for(play(), PATIENCE))


def test_files_that_are_made_replaced_and_removed_are_told(home: Path) -> None:
    async def story(seen: Seen) -> None:
        new = home / "src" / "new.py"
        new.write_text("1")
        assert await seen.until(new) == {new}
        (home / "src" / "new.tmp").write_text("2")
        (home / "src" / "new.tmp").rename(new)
        assert await seen.until(new) == {new}
        new.unlink()
        assert await seen.until(new) == {new}

    watching(story)


def test_only_what_counts_is_told(home: Path) -> None:
    async def story(seen: Seen) -> None:
        for name in (".git", "src/__pycache__", "out"):
            (home / name).mkdir()
            (home / name / "x.py").write_text("1")
        (home / "README.md").write_text("1")
        (home / "page.html").write_text("1")
        assert await seen.until(home / "page.html") == {home / "page.html"}

    watching(story, include=["*.html"], exclude=["out"])


def test_changes_that_come_together_are_one_set(home: Path) -> None:
    async def story(seen: Seen) -> None:
        files = {home / "src" / f"{number}.py" for number in range(20)}
        for file in files:
            file.write_text("1")
        async with asyncio.timeout(PATIENCE):
            assert await anext(seen._sets) == files

    watching(story, delay=0.5)


def test_a_new_folder_is_watched_with_what_is_in_it(home: Path) -> None:
    async def story(seen: Seen) -> None:
        (home / "other").mkdir()
        (home / "other" / "deep.py").write_text("1")
        (home / "other").rename(home / "src" / "moved")
        await seen.until(home / "src" / "moved" / "deep.py")
        (home / "src" / "moved" / "later.py").write_text("1")
        await seen.until(home / "src" / "moved" / "later.py")

    watching(story, ("src",))


def test_a_single_file_is_watched_wherever_it_lies(home: Path) -> None:
    env, config = home.parent / ".env", home / "portway.toml"

    async def story(seen: Seen) -> None:
        env.write_text("A=1")
        assert await seen.until(env) == {env}
        (home.parent / "4913").write_text("A=2")  # as vim does
        os.replace(home.parent / "4913", env)
        assert await seen.until(env) == {env}
        config.write_text("port = 1")  # it was not there before
        assert await seen.until(config) == {config}

    watching(story, ("src",), files=["../.env", "portway.toml"])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows removes no folder that is watched")
def test_a_folder_that_disappears_is_watched_when_it_is_there_again(home: Path) -> None:
    async def story(seen: Seen) -> None:
        for _ in range(2):
            shutil.rmtree(home / "src")
            await seen.until(home / "src" / "main.py")
            (home / "src").mkdir()
            await seen.until(home / "src")
            (home / "src" / "main.py").write_text("2")
            await seen.until(home / "src" / "main.py")

    watching(story, ("src",))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows removes no folder that is watched")
def test_a_folder_that_is_replaced_is_watched(home: Path) -> None:
    async def story(seen: Seen) -> None:
        (home / "src").rename(home / "old")
        (home / "src").mkdir()
        await seen.until(home / "src")
        (home / "old" / "main.py").write_text("2")  # nobody's now
        (home / "src" / "new.py").write_text("2")
        assert home / "src" / "main.py" not in await seen.until(home / "src" / "new.py")

    watching(story, ("src",))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows removes no folder that is watched")
def test_everything_may_disappear_and_come_again(home: Path) -> None:
    async def story(seen: Seen) -> None:
        shutil.rmtree(home)
        await seen.until(home / "src")
        (home / "src").mkdir(parents=True)
        await seen.until(home / "src")
        (home / "src" / "main.py").write_text("2")
        await seen.until(home / "src" / "main.py")

    watching(story, ("src",), files=[".env"])


def test_a_folder_that_is_not_there_yet_is_waited_for(home: Path) -> None:
    async def story(seen: Seen) -> None:
        (home / "later" / "src").mkdir(parents=True)
        await seen.until(home / "later" / "src")
        (home / "later" / "src" / "main.py").write_text("1")
        await seen.until(home / "later" / "src" / "main.py")

    watching(story, ("later/src",))


def test_files_are_looked_at_where_nothing_tells_of_changes(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHFILES_FORCE_POLLING", "1")
    monkeypatch.setenv("WATCHFILES_POLL_DELAY_MS", "20")

    async def story(seen: Seen) -> None:
        os.utime(home / "src" / "main.py", (2e9, 2e9))  # times are compared by the second
        await seen.until(home / "src" / "main.py")

    watching(story)


def test_without_watchfiles_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    with pytest.raises(SettingsError, match=r"pip install portway\[reload\]"):
        Watcher(["."])


def test_a_watcher_that_nobody_asks_can_be_closed(home: Path) -> None:
    watcher = Watcher(["."])
    assert repr(watcher) == f"<Watcher {home}>"
    watcher.close()
