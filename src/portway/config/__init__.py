"""What the settings are (`settings`), where they come from (`load`), whether they can be used (`check`)."""

from portway.config.address import Address, Fd, Peers, Tcp, Unix, parse_bind, parse_header, parse_peers
from portway.config.check import addresses, check
from portway.config.facts import Setting
from portway.config.load import Loaded, load
from portway.config.protocols import HTTP, TLS
from portway.config.settings import (
    Application,
    Binding,
    Limits,
    Logs,
    Process,
    Settings,
    Timeouts,
    catalogue,
)

__all__ = [
    "HTTP",
    "TLS",
    "Address",
    "Application",
    "Binding",
    "Fd",
    "Limits",
    "Loaded",
    "Logs",
    "Peers",
    "Process",
    "Setting",
    "Settings",
    "Tcp",
    "Timeouts",
    "Unix",
    "addresses",
    "catalogue",
    "check",
    "load",
    "parse_bind",
    "parse_header",
    "parse_peers",
]
