"""The settings themselves: flat, frozen, described once."""

from dataclasses import FrozenInstanceError

import pytest

from portway.config import HTTP, Limits, Settings, Timeouts, catalogue
from portway.config.settings import GROUPS


def test_settings_are_flat_and_have_defaults() -> None:
    settings = Settings(host="::1", port=80)
    assert (settings.host, settings.port, settings.workers, settings.header) == ("::1", 80, 1, ())


def test_settings_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().port = 1  # type: ignore[misc]


def test_settings_are_given_by_name_only() -> None:
    with pytest.raises(TypeError):
        Settings("main:app")  # type: ignore[misc]


def test_a_part_is_the_group_of_one_room_with_the_values_in_force() -> None:
    part = Settings(limit_concurrency=7, port=1).part(Limits)
    assert part == Limits(limit_concurrency=7)
    assert not hasattr(part, "port")


def test_settings_are_each_of_their_groups() -> None:
    assert isinstance(Settings(), Timeouts)
    assert isinstance(Settings(), HTTP)


def test_no_setting_belongs_to_two_groups() -> None:
    names = [name for group in GROUPS for name in vars(group)["__dataclass_fields__"]]
    assert sorted(names) == sorted(catalogue())


def test_every_setting_has_a_help_that_is_a_sentence() -> None:
    for setting in catalogue().values():
        assert setting.facts.help[:1].isupper(), setting.name
        assert setting.facts.help.endswith("."), setting.name


def test_every_setting_that_takes_a_value_says_what_kind() -> None:
    bare = [each.name for each in catalogue().values() if not (each.facts.metavar or each.choices)]
    assert {catalogue()[name].kind for name in bare if name != "target"} == {"switch"}


@pytest.mark.parametrize(
    ("name", "kind", "optional", "choices"),
    [
        ("target", "text", True, ()),
        ("port", "integer", False, ()),
        ("fd", "integer", True, ()),
        ("limit_request_body", "size", True, ()),
        ("timeout_keep_alive", "seconds", False, ()),
        ("use_colors", "switch", True, ()),
        ("bind", "list", False, ()),
        ("lifespan", "choice", False, ("auto", "on", "off")),
    ],
)
def test_the_annotation_says_how_a_value_is_read(
    name: str, kind: str, optional: bool, choices: tuple[str, ...]
) -> None:
    setting = catalogue()[name]
    assert (setting.kind, setting.optional, setting.choices) == (kind, optional, choices)


def test_no_two_settings_share_an_option_or_a_variable() -> None:
    for spellings in ("options", "variables"):
        found = [each for setting in catalogue().values() for each in getattr(setting, spellings)]
        assert len(found) == len(set(found))


@pytest.mark.parametrize(
    ("origin", "place"),
    [
        ("--port", "--port"),
        ("PORTWAY_PORT", "PORTWAY_PORT"),
        ("PORTWAY_PORT in deploy.env", "PORTWAY_PORT in deploy.env"),
        ("pyproject.toml [tool.portway]", "port in pyproject.toml [tool.portway]"),
        ("default", "port"),
    ],
)
def test_an_error_names_the_place_that_the_user_wrote_in(origin: str, place: str) -> None:
    assert catalogue()["port"].place(origin) == place


# uvicorn's names and defaults, where the two agree: replacing the word is enough.
@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("host", "127.0.0.1"),
        ("port", 8000),
        ("uds", None),
        ("fd", None),
        ("backlog", 2048),
        ("factory", False),
        ("interface", "auto"),
        ("lifespan", "auto"),
        ("root_path", ""),
        ("env_file", None),
        ("log_config", None),
        ("log_level", "info"),
        ("access_log", True),
        ("use_colors", None),
        ("proxy_headers", True),
        ("server_header", True),
        ("date_header", True),
        ("limit_concurrency", None),
        ("limit_max_requests", None),
        ("loop", "auto"),
    ],
)
def test_a_default_that_is_uvicorns_stays_so(name: str, default: object) -> None:
    assert getattr(Settings(), name) == default
