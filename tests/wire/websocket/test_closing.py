"""What may be in a close frame: RFC 6455 §5.5.1, §7.4, and the registry of IANA."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.wire.websocket import closing
from portway.wire.websocket.faults import FrameFault


def refused(data: bytes) -> tuple[int, str]:
    with pytest.raises(FrameFault) as caught:
        closing.read(data)
    return caught.value.code, caught.value.text


def test_the_codes_that_may_be_sent_are_those_of_the_registry() -> None:
    for code in range(65536):
        registered = 1000 <= code <= 1014 and code not in (1004, 1005, 1006)
        assert closing.valid(code) is (registered or 3000 <= code <= 4999), code


def test_each_code_is_read_if_it_may_be_sent_and_refused_if_not() -> None:
    for code in range(65536):
        data = code.to_bytes(2, "big")
        if closing.valid(code):
            assert closing.read(data) == (code, "")
        else:
            assert refused(data) == (1002, "a close frame has a code that must not be sent")


def test_a_close_without_a_code_is_1005() -> None:
    assert closing.read(b"") == (1005, "")


@pytest.mark.parametrize("data", [b"\x00", b"\x03", b"\xff"])
def test_half_a_code_is_refused(data: bytes) -> None:
    assert refused(data) == (1002, "a close frame has half a code")


@pytest.mark.parametrize("data", [b"\xff", b"bye\xc3", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80"])
def test_a_reason_that_is_not_utf8_is_refused(data: bytes) -> None:
    assert refused(b"\x03\xe8" + data) == (1007, "the reason in a close frame is not UTF-8")


def test_a_wrong_code_is_told_before_a_wrong_reason() -> None:
    assert refused(b"\x00\x00\xff")[0] == 1002


@pytest.mark.parametrize(
    ("reason", "sent"),
    [
        ("", b""),
        ("bye", b"bye"),
        ("a" * 123, b"a" * 123),
        ("a" * 124, b"a" * 123),
        ("€" * 41, "€".encode() * 41),
        ("€" * 42, "€".encode() * 41),
        ("a" * 122 + "é", b"a" * 122),
        ("a" * 121 + "é", b"a" * 121 + "é".encode()),
        ("a" * 120 + "😀", b"a" * 120),
        ("a\ud800b", b"a?b"),
    ],
)
def test_a_reason_is_cut_between_two_characters(reason: str, sent: bytes) -> None:
    assert closing.payload(1000, reason) == b"\x03\xe8" + sent


@given(code=st.sampled_from([1000, 1011, 3000, 4999]), reason=st.text(max_size=200))
def test_what_is_sent_can_be_read(code: int, reason: str) -> None:
    data = closing.payload(code, reason)
    assert len(data) <= 125
    found, text = closing.read(data)
    assert found == code
    assert reason.startswith(text)
    assert len(reason.encode()) <= 123 or len(text.encode()) > 119
