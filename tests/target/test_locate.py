"""From the text of a target to the application."""

import logging
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from portway.errors import LoadError
from portway.target import locate

Write = Callable[[str, str], Path]

APP = "async def app(scope, receive, send): ...\n"


def name_of(app: object) -> tuple[str, str]:
    return getattr(app, "__module__", ""), getattr(app, "__qualname__", "")


def refusal(target: str, factory: bool = False) -> LoadError:
    with pytest.raises(LoadError) as caught:
        locate(target, factory=factory)
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_module_and_an_attribute(home: Path, write: Write) -> None:
    write("main.py", APP)
    assert name_of(locate("main:app")) == ("main", "app")


def test_a_dotted_attribute(home: Path, write: Write) -> None:
    write("main.py", "class site:\n    class web:\n        async def app(scope, receive, send): ...\n")
    assert name_of(locate("main:site.web.app")) == ("main", "site.web.app")


def test_a_module_of_a_package(home: Path, write: Write) -> None:
    write("shop/__init__.py", "")
    write("shop/web.py", APP)
    assert name_of(locate("shop.web:app")) == ("shop.web", "app")


def test_app_dir_is_first_on_the_path_and_absolute(home: Path, write: Write) -> None:
    write("src/main.py", APP)
    assert name_of(locate("main:app", "src")) == ("main", "app")
    assert sys.path[0] == str(home / "src")


def test_app_dir_may_be_empty_as_in_uvicorn(home: Path, write: Write) -> None:
    write("main.py", APP)
    assert name_of(locate("main:app", "")) == ("main", "app")
    assert sys.path[0] == str(home)


def test_a_file(home: Path, write: Write) -> None:
    write("examples/hello/main.py", "import beside\n" + APP)
    write("examples/hello/beside.py", "")
    assert name_of(locate("examples/hello/main.py")) == ("main", "app")
    assert sys.path[:2] == [str(home / "examples/hello"), str(home)]


def test_a_file_in_a_package_may_import_relatively(home: Path, write: Write) -> None:
    write("src/shop/__init__.py", "")
    write("src/shop/views.py", APP)
    write("src/shop/main.py", "from .views import app\n")
    assert name_of(locate("src/shop/main.py:app")) == ("shop.views", "app")


def test_a_folder_that_is_a_package(home: Path, write: Write) -> None:
    write("src/shop/__init__.py", APP)
    assert name_of(locate("src/shop/")) == ("shop", "app")


def test_a_package_whose_application_is_in_a_module_that_stands_for_it(home: Path, write: Write) -> None:
    write("src/shop/__init__.py", "")
    write("src/shop/asgi.py", "from . import views\n" + APP)
    write("src/shop/views.py", "")
    assert name_of(locate("src/shop/")) == ("shop.asgi", "app")
    assert name_of(locate("src/shop/:app")) == ("shop.asgi", "app")


def test_a_package_by_name_whose_application_is_in_a_module_that_stands_for_it(home: Path, write: Write) -> None:
    write("shop/__init__.py", "")
    write("shop/main.py", APP)
    assert name_of(locate("shop")) == ("shop.main", "app")


def test_a_folder_that_is_no_package(home: Path, write: Write) -> None:
    write("hello/main.py", APP)
    assert name_of(locate("hello")) == ("main", "app")


@pytest.mark.parametrize("name", ["app", "application", "site"])
def test_without_an_attribute_the_application_is_found_and_named(
    home: Path, write: Write, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    write("main.py", "def elsewhere(): ...\n" + APP.replace("app(", f"{name}("))
    with caplog.at_level(logging.INFO, "portway"):
        assert name_of(locate("main")) == ("main", name)
    assert caplog.messages == [f"the application is main:{name}"]


def test_app_wins_over_application_and_over_other_applications(home: Path, write: Write) -> None:
    write("main.py", "".join(APP.replace("app(", f"{name}(") for name in ("admin", "application", "app")))
    assert name_of(locate("main")) == ("main", "app")


def test_two_names_of_one_object_are_one_application(home: Path, write: Write) -> None:
    write("main.py", APP.replace("app(", "site(") + "web = site\n")
    assert name_of(locate("main")) == ("main", "site")


def test_a_submodule_called_app_is_no_application(home: Path, write: Write) -> None:
    write("shop/__init__.py", "from . import app\n")
    write("shop/app.py", APP)
    assert name_of(locate("shop")) == ("shop.app", "app")


# Factories

FACTORY = "def create_app():\n    async def made(scope, receive, send): ...\n    return made\n"


@pytest.mark.parametrize("target", ["main:create_app", "main"])
def test_a_factory_is_called(home: Path, write: Write, target: str) -> None:
    write("main.py", FACTORY)
    assert name_of(locate(target, factory=True)) == ("main", "create_app.<locals>.made")


def test_a_function_without_arguments_is_taken_for_a_factory_with_a_warning(
    home: Path, write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    write("main.py", FACTORY)
    assert name_of(locate("main:create_app")) == ("main", "create_app.<locals>.made")
    assert caplog.messages == [
        "main:create_app takes no argument, so it is taken for a factory; say --factory to mean it"
    ]


def test_a_factory_that_is_none_is_refused(home: Path, write: Write) -> None:
    write("main.py", APP + "async def later(): ...\nnumber = 3\ndef nothing(): ...\n")
    assert "main:app is no factory, it needs scope, receive, send" in str(refusal("main:app", factory=True))
    assert "main:later is async; a factory is a plain function" in str(refusal("main:later", factory=True))
    assert "main:number is of type int and cannot be called" in str(refusal("main:number", factory=True))
    assert "main:nothing is of type NoneType and cannot be called" in str(refusal("main:nothing", factory=True))


def test_a_factory_that_fails_is_shown_from_its_own_frame_on(home: Path, write: Write) -> None:
    write("main.py", "def create_app():\n    raise ValueError('no database')\n")
    fault = refusal("main:create_app", factory=True)
    assert str(fault) == "the factory main:create_app failed: ValueError: no database"
    assert (fault.cause_traceback or "").splitlines()[1] == f'  File "{home}/main.py", line 2, in create_app'


# The application's own errors


def test_an_import_error_of_the_application_is_its_own(home: Path, write: Write) -> None:
    write("main.py", "import absent_dependency\n")
    fault = refusal("main:app")
    assert str(fault) == "importing main failed: ModuleNotFoundError: No module named 'absent_dependency'"
    trace = (fault.cause_traceback or "").splitlines()
    assert trace[:2] == [
        "Traceback (most recent call last):",
        f'  File "{home}/main.py", line 1, in <module>',
    ]
    assert trace[-1] == "ModuleNotFoundError: No module named 'absent_dependency'"


def test_a_package_that_fails_to_import_its_own_module_is_not_a_missing_target(home: Path, write: Write) -> None:
    write("shop/__init__.py", "import shop.web\n")
    fault = refusal("shop.web:app")
    assert str(fault) == "importing shop.web failed: ModuleNotFoundError: No module named 'shop.web'"
    assert f'File "{home}/shop/__init__.py", line 1' in (fault.cause_traceback or "")


def test_a_syntax_error_shows_its_line(home: Path, write: Write) -> None:
    write("main.py", "def app(:\n")
    fault = refusal("main:app")
    assert str(fault).startswith("importing main failed: SyntaxError: invalid syntax")
    assert (fault.cause_traceback or "").startswith(f'  File "{home}/main.py", line 1')


def test_an_application_that_exits_while_imported_is_one_line(home: Path, write: Write) -> None:
    write("main.py", "import sys\nsys.exit(3)\n")
    fault = refusal("main:app")
    assert str(fault) == "importing main failed: the application called sys.exit(3)"
    assert f'File "{home}/main.py", line 2' in (fault.cause_traceback or "")


def test_an_interrupt_while_importing_goes_through(home: Path, write: Write) -> None:
    write("main.py", "raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        locate("main:app")


def test_an_error_of_several_lines_is_cut_to_its_first(home: Path, write: Write) -> None:
    write("main.py", "raise ValueError('first\\nsecond')\n")
    fault = refusal("main:app")
    assert str(fault) == "importing main failed: ValueError: first"
    assert (fault.cause_traceback or "").endswith("ValueError: first\nsecond")


@pytest.mark.parametrize("error", ["ValueError", "AttributeError"])
def test_an_attribute_that_raises_is_the_applications_own_error(home: Path, write: Write, error: str) -> None:
    write("main.py", f"class Site:\n    @property\n    def app(self): raise {error}('x')\nsite = Site()\n")
    fault = refusal("main:site.app")
    assert str(fault) == f"main:site failed to give its app: {error}: x"
    assert f'File "{home}/main.py", line 3, in app' in (fault.cause_traceback or "")


def test_a_module_that_makes_its_attributes_is_asked_for_them(home: Path, write: Write) -> None:
    write(
        "main.py",
        "def __getattr__(name):\n    if name == 'app': return make\n    raise AttributeError(name)\n"
        "async def make(scope, receive, send): ...\n",
    )
    assert name_of(locate("main:app")) == ("main", "make")
    assert str(refusal("main:other")).startswith(f"main ({home}/main.py) has no attribute other")


# What is found and is no application


@pytest.mark.parametrize(("text", "kind"), [("app = 3", "int"), ("import sys as app", "module")])
def test_what_cannot_be_called_is_no_application(home: Path, write: Write, text: str, kind: str) -> None:
    write("main.py", text)
    assert str(refusal("main:app")) == f"main:app is of type {kind} and cannot be called: it is no application"


def test_a_file_with_the_name_of_another_module_is_refused_rather_than_mistaken(home: Path, write: Write) -> None:
    file = write("web/json.py", APP)
    import json

    assert str(refusal("web/json.py")) == (
        f"{file} would be imported as json, and that is {json.__file__}; give the file another name"
    )
    builtin = write("web/sys.py", APP)
    assert str(refusal("web/sys.py")).startswith(f"{builtin} would be imported as sys, and that is built into")
