"""`wsgi.file_wrapper`, as frameworks use it."""

import io

import pytest

from portway.wsgi.files import FileWrapper


def test_it_gives_the_file_in_blocks() -> None:
    assert list(FileWrapper(io.BytesIO(b"0123456789"), 4)) == [b"0123", b"4567", b"89"]


def test_its_iterator_closes_the_file() -> None:
    file = io.BytesIO(b"content")
    iter(FileWrapper(file)).close()  # type: ignore[attr-defined]
    assert file.closed


def test_it_seeks_as_the_file_does() -> None:
    wrapper = FileWrapper(io.BytesIO(b"0123456789"))
    assert wrapper.seekable()
    wrapper.seek(7)
    assert wrapper.tell() == 7
    assert next(wrapper) == b"789"


def test_a_file_may_know_nothing_but_read() -> None:
    class Reader:
        def read(self, size: int) -> bytes:
            return b""

    wrapper = FileWrapper(Reader())
    assert not wrapper.seekable()
    assert not hasattr(wrapper, "close")
    with pytest.raises(StopIteration):
        next(wrapper)
