"""What a target says, before anything is imported."""

from collections.abc import Callable
from pathlib import Path

import pytest

from portway.errors import LoadError
from portway.target.place import Place, place

Write = Callable[[str, str], Path]


@pytest.mark.parametrize(
    ("target", "module", "attribute"),
    [
        ("main:app", "main", "app"),
        ("package.main:make.app", "package.main", "make.app"),
        ("package.main", "package.main", ""),
        ("my-app:app", "my-app", "app"),
    ],
)
def test_a_dotted_target_is_a_module_and_an_attribute(home: Path, target: str, module: str, attribute: str) -> None:
    assert place(target, home) == Place(module, attribute, home)


def test_a_file_is_imported_from_its_folder(home: Path, write: Write) -> None:
    file = write("examples/hello/main.py", "")
    for target, attribute in (("examples/hello/main.py", ""), ("examples/hello/main.py:app", "app")):
        assert place(target, home) == Place("main", attribute, file.parent, file)


def test_a_file_without_a_folder_is_a_path_too(home: Path, write: Write) -> None:
    file = write("main.py", "")
    assert place("main.py:app", home) == Place("main", "app", home, file)


def test_an_absolute_path_may_stand_anywhere(home: Path, write: Write) -> None:
    file = write("main.py", "")
    assert place(f"{file}:app", Path("/")) == Place("main", "app", home, file)


def test_a_file_in_a_package_has_the_dotted_name_that_relative_imports_need(home: Path, write: Write) -> None:
    write("src/shop/__init__.py", "")
    write("src/shop/web/__init__.py", "")
    file = write("src/shop/web/main.py", "")
    assert place("src/shop/web/main.py", home) == Place("shop.web.main", "", home / "src", file)


def test_a_folder_with_an_init_is_a_package(home: Path, write: Write) -> None:
    file = write("src/shop/__init__.py", "")
    assert place("src/shop/:app", home) == Place("shop", "app", home / "src", file, folder=True)


@pytest.mark.parametrize("name", ["main.py", "app.py", "asgi.py"])
def test_a_folder_without_an_init_is_the_module_that_stands_for_it(home: Path, write: Write, name: str) -> None:
    file = write(f"hello/{name}", "")
    for target in ("hello/", "./hello", "hello"):
        assert place(target, home) == Place(file.stem, "", file.parent, file, folder=True)


def test_a_bare_name_with_a_package_behind_it_is_a_module(home: Path, write: Write) -> None:
    write("shop/__init__.py", "")
    assert place("shop", home) == Place("shop", "", home)


def test_a_bare_name_with_a_module_beside_the_folder_is_the_module(home: Path, write: Write) -> None:
    write("hello/main.py", "")
    write("hello.py", "")
    assert place("hello", home) == Place("hello", "", home)


def test_the_current_folder_is_a_folder(home: Path, write: Write) -> None:
    file = write("main.py", "")
    assert place(".:app", home) == Place("main", "app", home, file, folder=True)


def test_a_path_is_looked_for_in_the_current_folder_then_in_app_dir(home: Path, write: Write) -> None:
    file = write("src/web/main.py", "")
    assert place("web/main.py", home / "src").file == file
    nearer = write("web/main.py", "")
    assert place("web/main.py", home / "src").file == nearer


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("main:", "no name after the colon; write main:app"),
        (":app", "names no module"),
        ("", "names no module"),
        ("main:a-b", "no name after the colon; write main:app"),
        ("main:create_app()", "write main:create_app --factory"),
        (".main:app", "names no module"),
        ("web/main.py", "there is no "),
        ("web/main", "there is no "),
        ("empty/", "has none of __init__.py, main.py, app.py, asgi.py"),
        ("notes.txt/", "there is no|is not a Python file"),
        ("./notes.txt", "is not a Python file"),
        ("v1.2.py", "its name has a dot"),
    ],
)
def test_what_names_no_place_is_refused(home: Path, write: Write, target: str, words: str) -> None:
    (home / "empty").mkdir()
    write("notes.txt", "")
    write("v1.2.py", "")
    with pytest.raises(LoadError, match=words):
        place(target, home)


def test_a_missing_file_is_named_everywhere_it_was_looked_for(home: Path) -> None:
    with pytest.raises(LoadError) as caught:
        place("web/main.py", home / "src")
    assert str(caught.value) == f"there is no {home}/web/main.py and no {home}/src/web/main.py"


@pytest.mark.parametrize(("target", "words"), [(r"C:\web\main.py:app", r"main\.py"), ("C:/web/main.py", "there is no")])
def test_the_colon_of_a_drive_is_none_of_ours(home: Path, target: str, words: str) -> None:
    with pytest.raises(LoadError, match=words):
        place(target, home)
