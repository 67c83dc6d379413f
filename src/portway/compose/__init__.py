"""Many applications in one process, each of them plain ASGI, under this server or any other."""

from portway.compose.fallback import Fallback
from portway.compose.mounts import Mounts

__all__ = ["Fallback", "Mounts"]
