"""The command line: click commands whose options are derived from the settings."""

from __future__ import annotations

from collections.abc import Sequence

from portway.cli.root import root


def main(args: Sequence[str] | None = None) -> None:
    """Run `portway` with these arguments, or those of the process; ends in SystemExit."""
    root.main(args=args, prog_name="portway")
