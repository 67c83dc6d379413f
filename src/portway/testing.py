"""For tests of applications, and of Portway itself: a real server on a free port, and raw clients.

    from portway.testing import serve

    def test_it():
        with serve(app) as served:
            assert httpx.get(served.url + "/").status_code == 200

pytest finds the fixture `portway_serve` by itself: `portway_serve(app)` gives what `with serve(app)` gives,
until the test ends.
"""

from portway.probe.raw import Raw, Response
from portway.probe.serve import Served, serve

__all__ = ["Raw", "Response", "Served", "serve"]
