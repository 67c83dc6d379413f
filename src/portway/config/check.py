"""Whether settings can be used: each value alone, then those that contradict each other.

A value comes as a text (from an option or a variable) or as what TOML made of it; `value` turns it
into what its field promises. Whatever cannot be used raises SettingsError: one line that says what,
where it came from, and what to write instead.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from portway import cpus
from portway.config.address import Address, Fd, Tcp, Unix, parse_bind, parse_header, parse_peers
from portway.config.facts import Kind, Setting
from portway.config.settings import Settings, catalogue
from portway.errors import SettingsError

ON = frozenset({"1", "true", "yes", "on"})
OFF = frozenset({"0", "false", "no", "off"})
LOG_CONFIGS = (".toml", ".json", ".yaml", ".yml")

# As GNU coreutils have them: K and KiB are 1024, KB is 1000.
SIZE = re.compile(r"([0-9]{1,18}) *(?:([kmg])(i?b)?|b)?", re.IGNORECASE)
POWERS = {"": 0, "k": 1, "m": 2, "g": 3}
LARGEST = 2**53  # beyond it a float is not exact, and a product of two leaves 64 bits

# proc(5): where `server.wear` looks.
RESIDENT = Path("/proc/self/statm")

Origins = Mapping[str, str]


def check(settings: Settings, origins: Origins | None = None, secured: bool = False) -> None:
    """Raise SettingsError for the first setting that cannot be used; `origins` name their places.

    `secured` says that there is TLS even without a certificate in the settings.
    """
    origins = origins or {}
    for name, setting in catalogue().items():
        value(setting, getattr(settings, name), origins.get(name, "default"))
    for rule in RULES if secured else (*RULES, *RULES_OF_TLS):
        rule(settings, origins)


def value(setting: Setting, raw: object, origin: str) -> object:
    """What the field of this setting holds for a text or a TOML value; SettingsError if it cannot."""
    if raw is None and setting.optional:
        return None
    try:
        found = PARSERS[setting.kind](setting, raw)
        _within(setting, found)
        for part in found if isinstance(found, tuple) else (found,):
            SYNTAX.get(setting.name, _any)(part)
    except ValueError as fault:
        raise SettingsError(f"{setting.place(origin)}: {fault.args[0]}") from None
    return found


def addresses(settings: Settings) -> tuple[Address, ...]:
    """Where to listen: every `bind`, or else the descriptor, the Unix socket, or host and port."""
    if settings.bind:
        return tuple(parse_bind(each) for each in settings.bind)
    if settings.fd is not None:
        return (Fd(settings.fd),)
    if settings.uds is not None:
        return (Unix(settings.uds),)
    return (Tcp(settings.host, settings.port),)


# One parser for each kind. They raise ValueError with the rest of the sentence.


def _text(setting: Setting, raw: object) -> str:
    if not isinstance(raw, str):
        raise ValueError(f'{raw!r} is not a text; write it in quotes, as in "{setting.example}"')
    if not raw and not setting.facts.empty:
        raise ValueError(f"the text is empty; write for example {setting.example}, or leave it out")
    if "\0" in raw:
        raise ValueError(f"{raw!r} holds a NUL; write it without")
    return raw


def _choice(setting: Setting, raw: object) -> str:
    word = raw.lower() if isinstance(raw, str) else ""
    if word not in setting.choices:
        raise ValueError(f"{raw!r} is not one of the choices; write {_either(setting.choices)}")
    return word


def _integer(setting: Setting, raw: object) -> int:
    if setting.facts.auto and raw == "auto":
        return cpus.usable()
    if isinstance(raw, str) and re.fullmatch(r"\s*[+-]?[0-9]{1,18}\s*", raw):
        return int(raw)
    if isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    raise ValueError(f"{raw!r} is not a whole number; write for example {setting.example}")


def _size(setting: Setting, raw: object) -> int:
    if not isinstance(raw, str):
        return _integer(setting, raw)
    match = SIZE.fullmatch(raw.strip())
    if match is None:
        raise ValueError(f"{raw!r} is not a size in bytes; write for example {setting.example}")
    number, letter, suffix = (group.lower() for group in match.groups(""))
    step = 1000 if suffix == "b" else 1024
    return int(number) * int(step ** POWERS[letter])


def _seconds(setting: Setting, raw: object) -> float:
    try:
        number = float(raw) if isinstance(raw, (str, int, float)) and not isinstance(raw, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{raw!r} is not a number of seconds; write for example {setting.example}")
    return number


def _switch(setting: Setting, raw: object) -> bool:
    if isinstance(raw, bool):
        return raw
    word = raw.strip().lower() if isinstance(raw, str) else ""
    if word in ON:
        return True
    if word in OFF:
        return False
    raise ValueError(f"{raw!r} is neither on nor off; write true or false")


def _list(setting: Setting, raw: object) -> tuple[str, ...]:
    if setting.facts.table and isinstance(raw, Mapping):
        return _table(setting, raw)
    parts = (raw,) if isinstance(raw, str) else raw
    if not isinstance(parts, (list, tuple)) or not all(isinstance(part, str) for part in parts):
        raise ValueError(f'{raw!r} is not a list of texts; write for example ["{setting.example}"]')
    return tuple(parts)


def _table(setting: Setting, raw: Mapping[object, object]) -> tuple[str, ...]:
    name, _, text = setting.example.partition("=")
    for each, found in raw.items():
        if not isinstance(found, str):
            raise ValueError(f'{each} = {found!r} is not a text; write for example "{name}" = "{text}"')
    return tuple(f"{each}={found}" for each, found in raw.items())


def _numbers(setting: Setting, raw: object) -> tuple[int, ...]:
    parts = raw.split(",") if isinstance(raw, str) else raw if isinstance(raw, (list, tuple)) else (raw,)
    return tuple(_integer(setting, part) for part in parts)


PARSERS: dict[Kind, Callable[[Setting, object], object]] = {
    "text": _text,
    "choice": _choice,
    "integer": _integer,
    "size": _size,
    "seconds": _seconds,
    "switch": _switch,
    "list": _list,
    "numbers": _numbers,
}


def _within(setting: Setting, found: object) -> None:
    if not isinstance(found, (int, float)) or isinstance(found, bool):
        return
    least, most = setting.facts.least, setting.facts.most or LARGEST
    if least is not None and found < least:
        raise ValueError(f"{found} is too small; write at least {least:g}")
    if found > most:
        raise ValueError(f"{found} is too large; write at most {most:.16g}")


# What some settings ask of their texts beyond being texts.


def _any(text: object) -> None:
    """Nothing more is asked."""


def _parsed_by(parse: Callable[[str], object]) -> Callable[[str], None]:
    def syntax(text: str) -> None:
        try:
            parse(text)
        except ValueError as fault:
            raise ValueError(f"{text!r} is {fault.args[0]}") from None

    return syntax


def _host(text: str) -> None:
    if text.startswith("["):
        raise ValueError(f"{text!r} has brackets; write {text.strip('[]')}")
    if re.search(r"[\s/]", text) or text.startswith("unix:"):
        raise ValueError(f"{text!r} is not an address or a name; write for example 127.0.0.1, or use --bind")


def _root_path(text: str) -> None:
    if text and not text.startswith("/"):
        raise ValueError(f"{text!r} does not begin with a slash; write /{text}")


def _health_path(text: str) -> None:
    if not re.fullmatch(r"/[!-~]*", text) or "?" in text or "#" in text:
        raise ValueError(f"{text!r} is not the path of a URL; write for example /healthz")


def _app_dir(text: str) -> None:
    if not Path(text).is_dir():
        raise ValueError(f"there is no folder {str(Path(text).absolute())!r}; write the one to look in")


def _log_config(text: str) -> None:
    path = Path(text)
    if path.suffix.lower() not in LOG_CONFIGS:
        raise ValueError(f"{text!r} cannot be read; write a dictConfig as .toml, .json or .yaml")
    _file(text)


def _file(text: str) -> None:
    path = Path(text)
    if not path.is_file():
        raise ValueError(f"there is no file {str(path.absolute())!r}; write the path of one")


# ssl.PROTOCOL_TLS, PROTOCOL_TLSv1_2, PROTOCOL_TLS_SERVER; and those below what is safe (RFC 8996).
SSL_VERSIONS = frozenset({2, 5, 17})
OLD_SSL_VERSIONS = frozenset({0, 1, 3, 4})


def _ssl_version(number: int) -> None:
    if number in OLD_SSL_VERSIONS:
        raise ValueError(f"{number} is older than TLS 1.2 and not safe; write 17, or leave it out")
    if number not in SSL_VERSIONS:
        raise ValueError(f"{number} is no protocol of a server; write 17, or leave it out")


# RFC 6454 §6.2, or the `null` of a page that has none, such as a file.
ORIGIN = re.compile(r"[a-z][a-z0-9+.\-]*://[^/?#@\s]+|null", re.IGNORECASE)


def _origin(text: str) -> None:
    if ORIGIN.fullmatch(text) is None:
        hint = "leave it out to let all in" if text == "*" else "write scheme and host, as in https://example.org"
        raise ValueError(f"{text!r} is no origin; {hint}")


def _mount(text: str) -> None:
    prefix, _, target = text.partition("=")
    if not prefix.strip() or not target.strip():
        raise ValueError(f"{text!r} is no mount; write path and target, as in /old=legacy.wsgi:application")
    if "/" not in prefix:
        raise ValueError(f"{text!r} has no slash in its path; write /{text}, or {prefix}/={target} for a host")


def _status(number: int) -> None:
    if not 400 <= number <= 599:
        raise ValueError(f"{number} is no error of HTTP; write for example 404,405")


SYNTAX: dict[str, Callable[..., None]] = {
    "mount": _mount,
    "fallback_on": _status,
    "ws_origins": _origin,
    "app_dir": _app_dir,
    "reload_dir": _app_dir,
    "health_path": _health_path,
    "root_path": _root_path,
    "bind": _parsed_by(parse_bind),
    "host": _host,
    "header": _parsed_by(parse_header),
    "forwarded_allow_ips": _parsed_by(parse_peers),
    "log_config": _log_config,
    "ssl_certfile": _file,
    "ssl_keyfile": _file,
    "ssl_ca_certs": _file,
    "ssl_version": _ssl_version,
}


# Rules about more than one setting, or about this version.


def _bind_stands_alone(settings: Settings, origins: Origins) -> None:
    others = [name for name in ("host", "port", "uds", "fd") if _given(settings, name, origins)]
    if settings.bind and others:
        raise SettingsError(
            f"{_place(others[0], origins)} and {_place('bind', origins)} both say where to listen; "
            f"write all of it as bind, for example {catalogue()['bind'].example}"
        )


def _one_socket(settings: Settings, origins: Origins) -> None:
    if settings.uds is not None and settings.fd is not None:
        raise SettingsError(
            f"{_place('uds', origins)} and {_place('fd', origins)} both say where to listen; "
            f"write --bind unix:{settings.uds} --bind fd://{settings.fd} to have both"
        )


def _a_key_each(settings: Settings, origins: Origins) -> None:
    certificates, keys = len(settings.ssl_certfile), len(settings.ssl_keyfile)
    if keys and not certificates:
        raise SettingsError(f"{_place('ssl_keyfile', origins)}: a key without a certificate; add --ssl-certfile")
    if keys and keys != certificates:
        raise SettingsError(
            f"{_place('ssl_keyfile', origins)}: keys: {keys}, certificates: {certificates}; "
            "write one for each, or none if each file holds both"
        )


def _two_ports(settings: Settings, origins: Origins) -> None:
    port = settings.redirect_http
    if port and port in [each.port for each in addresses(settings) if isinstance(each, Tcp)]:
        raise SettingsError(
            f"{_place('redirect_http', origins)}: https is spoken on port {port}; write another one, for example 80"
        )


def _only_with_tls(settings: Settings, origins: Origins) -> None:
    names = [name for name, setting in catalogue().items() if setting.group == "TLS"]
    given = [name for name in names if getattr(settings, name) != catalogue()[name].default]
    if given and not settings.ssl_certfile:
        raise SettingsError(f"{_place(given[0], origins)}: this needs TLS; add --ssl-certfile and --ssl-keyfile")


def _authorities(settings: Settings, origins: Origins) -> None:
    if settings.ssl_cert_reqs and settings.ssl_ca_certs is None:
        raise SettingsError(
            f"{_place('ssl_cert_reqs', origins)}: no certificate of a client could be believed; "
            "add --ssl-ca-certs with the authorities that they are of"
        )


def _one_mount_each(settings: Settings, origins: Origins) -> None:
    paths = [each.partition("=")[0].strip() for each in settings.mount]
    twice = [path for path in paths if paths.count(path) > 1]
    if twice:
        raise SettingsError(f"{_place('mount', origins)}: {twice[0]} is there twice; a path has one application")


def _memory_is_told(settings: Settings, origins: Origins) -> None:
    if settings.limit_max_memory is not None and not RESIDENT.exists():
        raise SettingsError(
            f"{_place('limit_max_memory', origins)}: this platform has no {RESIDENT}, which tells how much memory a "
            "process holds; leave it out"
        )


Rules = tuple[Callable[[Settings, Origins], None], ...]
RULES: Rules = (_bind_stands_alone, _one_socket, _a_key_each, _two_ports, _one_mount_each, _memory_is_told)
RULES_OF_TLS: Rules = (_only_with_tls, _authorities)


def _given(settings: Settings, name: str, origins: Origins) -> bool:
    """Somebody set it: to something else than the default, or to the default on purpose."""
    default = catalogue()[name].default
    return bool(getattr(settings, name) != default or origins.get(name, "default") != "default")


def _place(name: str, origins: Origins) -> str:
    return catalogue()[name].place(origins.get(name, "default"))


def _either(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"
