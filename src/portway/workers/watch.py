"""Watches files for --reload, by means of `watchfiles`.

1. Whole folders are watched with all that is in them. A folder that goes, or is replaced by another one of its
   name, is seen from the folder above it, and watched anew when it is there again.
2. A single file (the configuration, the variables) is watched by the folder that it lies in: editors write a
   new file and rename it.
3. What counts is settled here (see `Choice`), not by the library: it looks at the path as a whole, and a project
   that lies in a folder called .venv would never change.
"""

from __future__ import annotations

import asyncio
import os
import platform
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portway.errors import SettingsError
from portway.workers.choice import Choice

if TYPE_CHECKING:
    from watchfiles._rust_notify import RustNotify

Paths = set[Path]
Identity = tuple[int, int] | None

# How often the library looks for what has come, and how long it waits for an end of a burst; in seconds.
STEP = 0.03
BURST = 0.1

ADDED, DELETED = 1, 3  # watchfiles.Change


class Watcher:
    """`async for changed in Watcher(…)`: sets of paths that count, as they change. It watches from now on."""

    def __init__(
        self,
        folders: Iterable[str],
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
        files: Iterable[str] = (),
        delay: float = BURST,
    ) -> None:
        """*.py in `folders`, what `include` names besides, what `exclude` does not; and `files`, wherever they lie.

        All changes within `delay` seconds are one set. Raises SettingsError.
        """
        try:
            from watchfiles import DefaultFilter
        except ImportError:
            raise SettingsError("reload: watchfiles is not installed; pip install portway[reload]") from None
        ignored = (DefaultFilter.ignore_dirs, DefaultFilter.ignore_entity_patterns)
        self._choice = Choice(folders, include, exclude, files, *ignored)
        self._delay = delay
        self._looks: tuple[Look, Look] = self._look()

    def __repr__(self) -> str:
        return f"<Watcher {', '.join(map(str, self._choice.roots))}>"

    async def __aiter__(self) -> AsyncIterator[Paths]:
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[Changes] = asyncio.Queue()

        def tell(found: Changes) -> None:
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(queue.put_nowait, found)

        try:
            for look in self._looks:
                look.start(tell)
            while True:
                changed = await self._judge(await queue.get(), tell)
                if changed:
                    await asyncio.sleep(max(0.0, self._delay - STEP))
                    while not queue.empty():
                        changed |= await self._judge(queue.get_nowait(), tell)
                    yield changed
        finally:
            self.close()

    def close(self) -> None:
        """Watch no more."""
        for look in self._looks:
            look.close()

    async def _judge(self, found: Changes, tell: Callable[[Changes], None]) -> Paths:
        """What counts of it. Where a folder has come or gone, watch what there is now."""
        changed = {path for kind, name in found for path in self._counted(Path(name), kind == ADDED)}
        watched = self._looks[0].places | self._looks[1].places
        # One that was made anew at once may have the number of the old one.
        gone = {path for kind, name in found if kind == DELETED and (path := Path(name)) in watched}
        if gone or self._wanted() != tuple(look.places for look in self._looks):
            changed |= await self._look_again(gone, tell)
        return changed

    def _counted(self, path: Path, added: bool) -> Iterator[Path]:
        if self._choice.counts(path):
            yield path
        elif added and path.is_dir() and self._choice.enters(path):
            # What lies in a new folder may have been there before the library began to watch it.
            for folder, _, names in os.walk(path):
                yield from (each for name in names if self._choice.counts(each := Path(folder, name)))

    # --- what is watched ---

    def _wanted(self) -> tuple[Places, Places]:
        """The folders to watch with all that is in them, and those to watch alone; each with what it is now."""
        roots = self._choice.roots
        outermost = [each for each in roots if not any(other in each.parents for other in roots)]
        deep = {each: identity(each) for each in outermost if each.is_dir()}
        above = {existing(each.parent) for each in outermost}
        alone = {existing(each) for each in self._choice.homes} | above
        return deep, {each: identity(each) for each in alone}

    def _look(self) -> tuple[Look, Look]:
        while True:
            deep, alone = self._wanted()
            with suppress(FileNotFoundError):  # gone since
                return Look(deep, recursive=True), Look(alone, recursive=False)

    async def _look_again(self, gone: Paths, tell: Callable[[Changes], None]) -> Paths:
        """What changed thereby."""
        before = self._looks
        self._looks = await asyncio.to_thread(self._look)
        for look, old in zip(self._looks, before, strict=True):
            look.start(tell)
            old.close()
        roots, homes = (
            {each for each in old.places | look.places if old.places.get(each) != look.places.get(each)} | gone
            for old, look in zip(before, self._looks, strict=True)
        )
        return roots.intersection(self._choice.roots) | {each for each in self._choice.files if each.parent in homes}


Changes = set[tuple[int, str]]
Places = dict[Path, Identity]


class Look:
    """Some folders, watched from now on; a thread waits for what changes there."""

    def __init__(self, places: Places, recursive: bool) -> None:
        self.places = places
        self._over = threading.Event()
        self._started = False
        self._library = opened([str(each) for each in places], recursive)

    def start(self, tell: Callable[[Changes], None]) -> None:
        """Tell, in the thread, what changed since this was made, and what will."""
        self._started = True
        threading.Thread(target=self._run, args=(tell,), name="portway-watch", daemon=True).start()

    def close(self) -> None:
        self._over.set()
        if not self._started:
            self._library.close()

    def _run(self, tell: Callable[[Changes], None]) -> None:
        burst, step = round(BURST * 1000), round(STEP * 1000)
        with self._library:
            while True:
                found: Any = self._library.watch(burst, step, 0, self._over)
                if isinstance(found, str):  # "stop"
                    return
                tell(found)


def opened(folders: list[str], recursive: bool) -> RustNotify:
    """The library's watch of these folders; FileNotFoundError if one of them is not there."""
    from watchfiles._rust_notify import RustNotify  # documented, and it watches from when it is made

    try:
        return RustNotify(folders, False, polls(), poll_delay(), recursive, True)
    except FileNotFoundError:
        raise
    except (OSError, RuntimeError) as error:  # there is a limit of folders, on Linux
        hint = "raise fs.inotify.max_user_watches, name fewer with --reload-dir, or set WATCHFILES_FORCE_POLLING=1"
        raise SettingsError(f"reload: cannot watch {', '.join(folders)}: {error}; {hint}") from None


def polls() -> bool:
    """Whether the library must look at every file again and again: as its users know it, by its variable."""
    said = os.environ.get("WATCHFILES_FORCE_POLLING", "").lower()
    if said:
        return said not in ("false", "disable", "disabled")
    return is_wsl()


def is_wsl() -> bool:
    """Windows tells nothing of its files to the Linux in it."""
    return platform.system() == "Linux" and "microsoft-standard" in platform.release().lower()


def poll_delay() -> int:
    """In milliseconds."""
    said = os.environ.get("WATCHFILES_POLL_DELAY_MS", "")
    return int(said) if said.isdecimal() else 300


def identity(folder: Path) -> Identity:
    """Which folder this is, whatever its name; None if it is none."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if folder.is_dir() else None


def existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return next((each for each in (folder, *folder.parents) if each.is_dir()), Path(folder.anchor))
