"""Which files count for --reload: as uvicorn has it, where uvicorn has it. No file is opened here, and none watched.

1. A single file that is named counts, whatever the rest says.
2. All else lies below one of the roots: the folders to look in, and those among what is included. What the path
   has above its root says nothing.
3. Below it, nothing counts that lies in a folder which nobody edits (.git, __pycache__, node_modules), and nothing
   that is excluded: by a folder, or by a pattern for a file or for one of the folders that it is in.
4. Of what is left, a file counts that *.py or an included pattern fits; in an included folder every file counts.
   Hidden files do so only for a pattern that begins with a dot, as in a shell.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

USUAL = "*.py"


class Choice:
    """`roots` are the folders to watch, `files` single ones, and `homes` the folders that these lie in."""

    def __init__(
        self,
        folders: Iterable[str],
        include: Iterable[str],
        exclude: Iterable[str],
        files: Iterable[str],
        ignored_folders: Sequence[str],
        ignored_names: Sequence[str],
    ) -> None:
        """`ignored_names` are regular expressions; all else are paths, or patterns of a shell."""
        self._whole, patterns = _apart(include)
        self._out, self._excluded = _apart(exclude)
        self._included = [USUAL, *patterns]
        self._ignored_folders = frozenset(ignored_folders)
        self._ignored_names = [re.compile(each) for each in ignored_names]
        self.roots = sorted({*map(resolved, folders), *self._whole})
        # A link, and what it leads to.
        named = [Path(os.path.abspath(each)) for each in files]
        self.files = {each for file in named for each in (file.parent.resolve() / file.name, file.resolve())}
        self.homes = {each.parent for each in self.files}

    def counts(self, path: Path) -> bool:
        """Whether a change of this file is one."""
        if path in self.files:
            return True
        root = self._root(path)
        if root is None or path == root or not self._enters(path, root):
            return False
        if any(each in path.parents for each in self._whole):
            return not path.is_dir()
        patterns = self._included
        if path.name.startswith("."):
            patterns = [each for each in patterns if each.rpartition("/")[2].startswith(".")]
        return any(_fits(path, root, pattern) for pattern in patterns)

    def enters(self, folder: Path) -> bool:
        """Whether anything in this folder may count."""
        root = self._root(folder)
        return root is not None and self._enters(folder, root)

    def _enters(self, path: Path, root: Path) -> bool:
        parts = path.relative_to(root).parts
        if not self._ignored_folders.isdisjoint(parts):
            return False
        if parts and any(each.search(parts[-1]) for each in self._ignored_names):
            return False
        below = [path, *(each for each in path.parents if root in each.parents)]
        if any(each in self._out for each in below):
            return False
        return not any(_fits(each, root, pattern) for each in below for pattern in self._excluded)

    def _root(self, path: Path) -> Path | None:
        """The innermost: who names a folder in .venv means it."""
        around = [each for each in self.roots if each == path or each in path.parents]
        return max(around, key=lambda each: len(each.parts), default=None)


def resolved(folder: str) -> Path:
    """As it is told of what changes in it."""
    return Path(folder).resolve()


def _apart(given: Iterable[str]) -> tuple[set[Path], list[str]]:
    """The folders among them, and the patterns."""
    folders: set[Path] = set()
    patterns = []
    for each in given:
        if os.path.isdir(each):
            folders.add(resolved(each))
        else:
            patterns.append(each)
    return folders, patterns


def _fits(path: Path, root: Path, pattern: str) -> bool:
    """From the right, as far as the pattern goes; or from the root on, where its asterisks may stand for folders."""
    return path.match(pattern) or fnmatchcase(path.relative_to(root).as_posix(), pattern)
