"""What is offered in place of a name that is not there."""

import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portway.errors import LoadError
from portway.target import locate
from portway.target.suggest import candidates, no_application

Write = Callable[[str, str], Path]

ASGI = "async def {}(scope, receive, send): ...\n"


def refusal(target: str, app_dir: str = ".", factory: bool = False) -> str:
    with pytest.raises(LoadError) as caught:
        locate(target, app_dir, factory)
    assert caught.value.cause_traceback is None
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_missing_module_is_said_with_where_it_was_looked_for_and_what_is_there(home: Path, write: Write) -> None:
    write("main.py", "")
    message = refusal("mian:app")
    assert message.startswith(f"cannot import mian: there is no mian in {home}, ")
    assert message.endswith("; did you mean main?")


def test_a_missing_module_of_a_package_is_looked_for_in_the_package(home: Path, write: Write) -> None:
    write("shop/__init__.py", "")
    write("shop/web.py", "")
    expected = f"cannot import shop.wed: there is no shop.wed in {home}/shop; did you mean web?"
    assert refusal("shop.wed:app") == expected


def test_a_missing_package_is_named_by_the_part_that_is_missing(home: Path) -> None:
    assert refusal("absent.web.main:app").startswith("cannot import absent.web.main: there is no absent in ")


def test_a_dot_in_place_of_the_colon_is_pointed_out(home: Path, write: Write) -> None:
    write("main.py", ASGI.format("app"))
    message = refusal("main.app")
    assert message == f"cannot import main.app: main ({home}/main.py) is a module, not a package; write main:app"


def test_a_missing_attribute_is_said_with_look_alikes_and_applications(home: Path, write: Write) -> None:
    write("main.py", ASGI.format("site") + "application_name = ''\n")
    message = refusal("main:aplication_name")
    assert message == (
        f"main ({home}/main.py) has no attribute aplication_name; did you mean application_name?; "
        "it has what looks like an application: site"
    )


def test_a_missing_attribute_of_an_attribute_is_named_by_its_owner(home: Path, write: Write) -> None:
    write("main.py", "class site:\n    web = 1\n")
    assert refusal("main:site.wep") == "main:site has no attribute wep; did you mean web?"


def test_several_possible_applications_are_named(home: Path, write: Write) -> None:
    write("main.py", ASGI.format("shop") + ASGI.format("blog"))
    message = refusal("main")
    assert message == (
        f"main ({home}/main.py) has no app and no application; several objects look like one (shop, blog); "
        "write main:shop"
    )


def test_a_factory_is_offered_when_nothing_else_is_there(home: Path, write: Write) -> None:
    write("main.py", "def create_app(): ...\n")
    assert refusal("main").endswith("has no app and no application; write main:create_app --factory")


def test_nothing_is_offered_when_nothing_is_there() -> None:
    fault = no_application(types.ModuleType("main"), ("app",), ())
    assert str(fault) == "main has no app; write main: and the name of the application"


def test_candidates_are_public_and_the_modules_own() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None: ...

    async def imported(scope: Any, receive: Any, send: Any) -> None: ...

    class Instance:
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...

    app.__module__ = "main"
    module = types.ModuleType("main")
    vars(module).update(app=app, _private=app, imported=imported, Instance=Instance, instance=Instance(), n=1)
    assert list(candidates(module)) == ["app", "instance"]
