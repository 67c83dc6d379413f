"""The name in a certificate, compared with what `cryptography` writes of it."""

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from portway.link.credentials import _name_in
from portway.link.distinguished import _dotted, subject_of

KEY = ec.generate_private_key(ec.SECP256R1())
KNOWN = [
    NameOID.COMMON_NAME,
    NameOID.LOCALITY_NAME,
    NameOID.STATE_OR_PROVINCE_NAME,
    NameOID.ORGANIZATION_NAME,
    NameOID.ORGANIZATIONAL_UNIT_NAME,
    NameOID.STREET_ADDRESS,
    NameOID.DOMAIN_COMPONENT,
    NameOID.USER_ID,
]


def certificate(name: x509.Name) -> bytes:
    """In DER."""
    now = datetime.datetime(2026, 1, 1)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(KEY.public_key())
    builder = builder.serial_number(5).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def name(*pairs: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(kind, text) for kind, text in pairs])


@given(st.lists(st.tuples(st.sampled_from(KNOWN), st.text(min_size=1, max_size=20)), max_size=5))
@settings(max_examples=200, deadline=None)
def test_names_are_written_as_cryptography_writes_them(pairs: list[tuple[x509.ObjectIdentifier, str]]) -> None:
    try:
        made = name(*pairs)
        der = certificate(made)
    except ValueError:  # a surrogate, or too long a name
        return
    assert subject_of(der) == made.rfc4514_string()


def test_the_last_comes_first() -> None:  # RFC 4514 §2.1
    made = name((NameOID.COUNTRY_NAME, "SE"), (NameOID.ORGANIZATION_NAME, "Example"), (NameOID.COMMON_NAME, "Anna"))
    assert subject_of(certificate(made)) == "CN=Anna,O=Example,C=SE"


def test_several_attributes_of_one_name() -> None:
    pairs = [x509.NameAttribute(NameOID.COMMON_NAME, "Anna"), x509.NameAttribute(NameOID.USER_ID, "7")]
    made = x509.Name([x509.RelativeDistinguishedName(pairs)])
    assert subject_of(certificate(made)) == made.rfc4514_string()


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a, b", "CN=a\\, b"),
        (' "x" ', 'CN=\\ \\"x\\"\\ '),
        ("#1", "CN=\\#1"),
        ("a#1", "CN=a#1"),
        ("a+b<c>d;e\\f", "CN=a\\+b\\<c\\>d\\;e\\\\f"),
        ("Zoë", "CN=Zoë"),
    ],
)
def test_what_has_a_meaning_is_escaped(text: str, written: str) -> None:  # RFC 4514 §2.4
    assert subject_of(certificate(name((NameOID.COMMON_NAME, text)))) == written


def test_what_has_no_short_name_is_written_in_hexadecimal() -> None:
    made = name((NameOID.TITLE, "Dr"), (NameOID.EMAIL_ADDRESS, "a@b.c"), (NameOID.SERIAL_NUMBER, "7"))
    assert subject_of(certificate(made)) == "serialNumber=7,emailAddress=a@b.c,2.5.4.12=#0c024472"


def test_numbers_of_attributes() -> None:
    assert _dotted(bytes([0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 9, 1])) == "1.2.840.113549.1.9.1"
    assert _dotted(bytes([0x88, 0x37, 3])) == "2.999.3"  # X.690 §8.19.5


@pytest.mark.parametrize("data", [b"", b"rubbish", b"\x30\x03\x02\x01\x05"])
def test_what_is_no_certificate_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="no certificate"):
        subject_of(data)


def test_what_an_authority_should_not_have_signed_is_no_name_and_costs_nothing() -> None:
    with pytest.raises(ValueError, match="too long"):
        _dotted(b"\xff" * 90_000 + b"\1")
    made = certificate(name((NameOID.COMMON_NAME, "a")))
    assert _name_in(made) == "CN=a"
    assert _name_in(made.replace(b"\x06\x03\x55\x04\x03", b"\x06\x00\x05\x01\x03")) is None
