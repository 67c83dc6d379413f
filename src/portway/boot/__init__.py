"""The composition root: the only room that knows every other. Settings become objects here, and are run."""

from portway.boot.applications import routes
from portway.boot.objects import bind, loop_factory, settled
from portway.boot.serve import Origin, Server, main, run

__all__ = ["Origin", "Server", "bind", "loop_factory", "main", "routes", "run", "settled"]
