"""Trac over the environment `project`; it answers through `write`."""

import os
from typing import Any

# `trac` is this file's own name in the repository, and Trac's where it runs.
from trac.web.main import dispatch_request


def app(environ: dict[str, Any], start_response: Any) -> Any:
    environ["trac.env_path"] = os.path.abspath("project")
    return dispatch_request(environ, start_response)
