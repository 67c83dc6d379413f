"""The application: where it is (`locate`), and what it speaks (`detect`)."""

from portway.target.interface import Interface, asgi2_to_asgi3, detect
from portway.target.locate import locate

__all__ = ["Interface", "asgi2_to_asgi3", "detect", "locate"]
