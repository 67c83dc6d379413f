"""The tree of errors."""

import portway.errors
from portway.errors import ClientDisconnected, LoadError, MessageError, PortwayError


def leaves() -> list[type[PortwayError]]:
    return [each for each in vars(portway.errors).values() if isinstance(each, type) and each is not PortwayError]


def test_every_error_is_of_the_one_root_and_in_the_tree_of_the_docstring() -> None:
    assert portway.errors.__doc__ is not None
    for each in leaves():
        assert issubclass(each, PortwayError)
        assert f" {each.__name__} " in portway.errors.__doc__


def test_what_send_raises_is_what_applications_already_catch() -> None:
    assert issubclass(ClientDisconnected, OSError)
    assert issubclass(MessageError, RuntimeError)


def test_a_load_error_carries_the_applications_traceback() -> None:
    assert LoadError("no").cause_traceback is None
    assert LoadError("no", "Traceback …").cause_traceback == "Traceback …"
    assert str(LoadError("no", "Traceback …")) == "no"
