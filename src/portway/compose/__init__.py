"""Many applications in one process, each of them plain ASGI, under this server or any other.

`Fallback` and `Mounts` are imported when they are asked for: one application alone needs neither.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from portway.compose.fallback import Fallback
    from portway.compose.mounts import Mounts

__all__ = ["Fallback", "Mounts"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{name.lower()}"), name)
