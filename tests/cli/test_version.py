"""`portway --version`."""

import platform
import re
from collections.abc import Callable
from importlib.util import find_spec

from click.testing import Result

from portway import __version__, _modes

Run = Callable[..., Result]


def test_the_version_names_portway_python_the_loop_and_what_is_compiled(run: Run) -> None:
    result = run("--version")
    portway, python, loop, compiled = result.stdout.rstrip("\n").split(" · ")
    assert result.exit_code == 0
    assert portway == f"portway {__version__}"
    assert python == f"{platform.python_implementation()} {platform.python_version()}"
    assert re.fullmatch(r"uvloop [\d.]+" if find_spec("uvloop") else "asyncio", loop)
    count, total = re.match(r"compiled: (\d+) of (\d+) modules", compiled).groups()  # type: ignore[union-attr]
    assert (int(count), int(total)) == (len(_modes.compiled_modules()), len(_modes.compilable_modules()))
    assert compiled.endswith("(PORTWAY_PURE)") == _modes.forced()
