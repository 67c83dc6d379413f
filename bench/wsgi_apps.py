"""The bare WSGI application, the same answer as that of `apps.hello`.

Headers are a new list each time: a server may change the one that it was given (PEP 3333).
"""

from apps import HELLO

LENGTH = str(len(HELLO))


def hello(environ, start_response):
    """Reads nothing and answers 13 bytes."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", LENGTH)])
    return [HELLO]
