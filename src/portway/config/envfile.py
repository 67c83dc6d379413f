"""The file of `--env-file`: a strict subset of what shells and python-dotenv read.

    # a comment                         export is allowed, blanks around = are not needed
    NAME=value                          up to the end of the line, or to a blank and #
    export NAME = "two words\\n"         in double quotes \\n \\t \\r \\" \\\\ \\$ mean what they mean in C
    NAME='as it stands: $HOME \\n'       in single quotes nothing means anything

What is outside the subset is refused rather than read wrongly: a quote that is not closed on its
line, text after a closing quote, and `${NAME}` outside single quotes, which is not replaced here.
"""

from __future__ import annotations

import re

from portway.errors import SettingsError

LINE = re.compile(
    r"""
    (?: export \s+ )? (?P<name> [A-Za-z_][A-Za-z0-9_]* ) \s* = \s*
    (?: ' (?P<single> [^']* ) '
      | " (?P<double> (?: [^"\\] | \\. )* ) "
      | (?P<plain> (?: (?!['"\#]) \S (?: .*? ) )?? )
    )
    (?: \s+ \# .* | \s* )
    """,
    re.VERBOSE,
)
ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


def parse_env(text: str, path: str) -> dict[str, str]:
    """The variables that the text sets; SettingsError names the line that it cannot read."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        match = LINE.fullmatch(line)
        if match is None:
            raise SettingsError(f'{path}, line {number}: not a variable; write NAME=value or NAME="a value"')
        found[match["name"]] = _value(match, f"{path}, line {number}")
    return found


def _value(match: re.Match[str], place: str) -> str:
    if match["single"] is not None:
        return match["single"]
    text = match["plain"] if match["double"] is None else match["double"]
    if re.search(r"(?<!\\)\$\{", text):
        raise SettingsError(f"{place}: ${{…}} is not replaced here; write the value, or put it in single quotes")
    return text if match["double"] is None else re.sub(r"\\(.)", _escape, text)


def _escape(match: re.Match[str]) -> str:
    """An escape that means nothing stays as it stands, as in python-dotenv."""
    char = match[1]
    return ESCAPES.get(char, char if char in "\"\\$'" else match[0])
