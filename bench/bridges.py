"""The bare WSGI application as an ASGI application, by each of those that make one: factories for uvicorn.

What makes it is imported where it is asked for, so that none carries the others along.
"""

from wsgi_apps import hello

THREADS = 8  # as in the row with threads; asgiref has one


def portway():
    from portway import WSGI

    return WSGI(hello, threads=THREADS)


def a2wsgi():
    from a2wsgi import WSGIMiddleware

    return WSGIMiddleware(hello, workers=THREADS)


def asgiref():
    from asgiref.wsgi import WsgiToAsgi

    return WsgiToAsgi(hello)
