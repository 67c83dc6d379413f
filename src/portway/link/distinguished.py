"""The name in a certificate, as RFC 4514 writes it: read from its DER, since Python's own reading of it loses types.

    CN=Anna\\, the first,OU=Ships,O=Example,C=SE

Attributes that have no short name there are written by their number and with the hexadecimal of their value (§2.4),
but for two that everybody names: emailAddress and serialNumber.
"""

from __future__ import annotations

from collections.abc import Iterator

# RFC 4514 §3, and the two.
SHORT = {
    "2.5.4.3": "CN",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.6": "C",
    "2.5.4.9": "STREET",
    "0.9.2342.19200300.100.1.25": "DC",
    "0.9.2342.19200300.100.1.1": "UID",
    "1.2.840.113549.1.9.1": "emailAddress",
    "2.5.4.5": "serialNumber",
}

# Of an object identifier, in bytes. Those that exist have 20, and to write a long one takes long.
NUMBER_MOST = 100

# X.690 §8: tags, and the encodings of the strings that a name may hold.
EXPLICIT_0 = 0xA0
ENCODINGS = {
    0x0C: "utf-8",
    0x12: "ascii",  # NumericString
    0x13: "utf-8",  # PrintableString: ASCII, and what some write into it all the same
    0x14: "latin-1",  # TeletexString, as everybody reads it
    0x16: "utf-8",  # IA5String, the same
    0x1A: "ascii",  # VisibleString
    0x1C: "utf-32-be",  # UniversalString
    0x1E: "utf-16-be",  # BMPString
}


def subject_of(certificate: bytes) -> str:
    """The subject of a certificate in DER; ValueError if it is none, or if its name is a monster."""
    try:
        outer = next(_elements(certificate))[1]
        fields = list(_elements(next(_elements(outer))[1]))
        # RFC 5280 §4.1: [version] serialNumber signature issuer validity subject
        return name_of(fields[5 if fields[0][0] == EXPLICIT_0 else 4][1])
    except (IndexError, StopIteration) as error:
        raise ValueError("this is no certificate in DER") from error


def name_of(rdns: bytes) -> str:
    """RFC 4514 §2.1: from the last one to the first; several attributes of one are joined with a plus sign."""
    written = ["+".join(_attribute(pair) for _, pair, _ in _elements(rdn)) for _, rdn, _ in _elements(rdns)]
    return ",".join(reversed(written))


def _attribute(pair: bytes) -> str:
    (_, number, _), (tag, value, whole) = _elements(pair)
    kind = _dotted(number)
    short = SHORT.get(kind)
    encoding = ENCODINGS.get(tag)
    if short is None or encoding is None:
        return f"{short or kind}=#{whole.hex()}"
    return f"{short}={_escaped(value.decode(encoding, 'replace'))}"


def _escaped(text: str) -> str:
    """RFC 4514 §2.4."""
    written = "".join("\\" + char if char in '"+,;<>\\' else "\\00" if char == "\0" else char for char in text)
    if written.endswith(" "):
        written = written[:-1] + "\\ "
    return "\\" + written if written.startswith((" ", "#")) else written


def _dotted(number: bytes) -> str:
    """X.690 §8.19: the object identifier."""
    if len(number) > NUMBER_MOST:
        raise ValueError("an object identifier in a name is far too long")
    arcs: list[int] = []
    arc = 0
    for byte in number:
        arc = arc << 7 | byte & 0x7F
        if byte < 0x80:
            arcs.append(arc)
            arc = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, [first, arcs[0] - 40 * first, *arcs[1:]]))


def _elements(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """The tag, the content and the whole of each element."""
    at = 0
    while at < len(data):
        tag, size, start = data[at], data[at + 1], at + 2
        if size & 0x80:
            start += size & 0x7F
            size = int.from_bytes(data[at + 2 : start], "big")
        yield tag, data[start : start + size], data[at : start + size]
        at = start + size
