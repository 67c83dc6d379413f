"""The codes of RFC 9113 §7, and who carries them."""

from hyperframe.frame import RstStreamFrame

from portway.wire.faults import ProtocolFault
from portway.wire.http2 import faults
from portway.wire.http2.faults import ConnectionFault, StreamFault


def test_codes_have_the_names_of_the_rfc() -> None:
    # §7, in its order
    names = (
        "NO_ERROR PROTOCOL_ERROR INTERNAL_ERROR FLOW_CONTROL_ERROR SETTINGS_TIMEOUT STREAM_CLOSED FRAME_SIZE_ERROR "
        "REFUSED_STREAM CANCEL COMPRESSION_ERROR CONNECT_ERROR ENHANCE_YOUR_CALM INADEQUATE_SECURITY HTTP_1_1_REQUIRED"
    )
    assert " ".join(faults.NAMES.values()) == names
    assert list(faults.NAMES) == list(range(14))


def test_constants_are_the_codes_of_their_names() -> None:
    for code, name in faults.NAMES.items():
        assert getattr(faults, name, code) == code
    assert faults.ENHANCE_YOUR_CALM == 0xB
    assert RstStreamFrame(1, faults.CANCEL).error_code == 8


def test_faults_carry_their_codes() -> None:
    for kind in (ConnectionFault, StreamFault):
        assert isinstance(kind("a"), ProtocolFault)
        assert (kind("a").code, kind("a").text) == (1, "a")
        assert kind("a", 9).code == 9
