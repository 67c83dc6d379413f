"""RFC 7541 Appendix C.2 to C.6: each block, and the dynamic table after it."""

from dataclasses import dataclass

import pytest

from portway.wire.hpack.decode import Decoder

Pair = tuple[bytes, bytes]


@dataclass
class Block:
    octets: str
    headers: list[Pair]
    table: list[Pair]
    size: int


def pairs(text: str) -> list[Pair]:
    """`name: value` in lines, as the RFC prints them."""
    found = []
    for line in text.strip().splitlines():
        name, _, value = line.strip().partition(": ") if not line.strip().startswith(":") else colon(line.strip())
        found.append((name.encode(), value.encode()))
    return found


def colon(line: str) -> tuple[str, str, str]:
    name, _, value = line[1:].partition(": ")
    return ":" + name, "", value


AUTHORITY = ":authority: www.example.com"
GET = ":method: GET\n:scheme: http\n:path: /\n" + AUTHORITY
INDEX = ":method: GET\n:scheme: https\n:path: /index.html\n" + AUTHORITY
CUSTOM = "custom-key: custom-value"
NO_CACHE = "cache-control: no-cache"

PRIVATE = "cache-control: private"
DATE_21 = "date: Mon, 21 Oct 2013 20:13:21 GMT"
DATE_22 = "date: Mon, 21 Oct 2013 20:13:22 GMT"
LOCATION = "location: https://www.example.com"
COOKIE = "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"
GZIP = "content-encoding: gzip"


def lines(*each: str) -> str:
    return "\n".join(each)


def requests(first: str, second: str, third: str) -> list[Block]:
    return [
        Block(first, pairs(GET), pairs(AUTHORITY), 57),
        Block(second, pairs(lines(GET, NO_CACHE)), pairs(lines(NO_CACHE, AUTHORITY)), 110),
        Block(third, pairs(lines(INDEX, CUSTOM)), pairs(lines(CUSTOM, NO_CACHE, AUTHORITY)), 164),
    ]


def responses(first: str, second: str, third: str) -> list[Block]:
    rest = (PRIVATE, DATE_21, LOCATION)
    return [
        Block(
            first,
            pairs(lines(":status: 302", *rest)),
            pairs(lines(LOCATION, DATE_21, PRIVATE, ":status: 302")),
            222,
        ),
        Block(
            second,
            pairs(lines(":status: 307", *rest)),
            pairs(lines(":status: 307", LOCATION, DATE_21, PRIVATE)),
            222,
        ),
        Block(
            third,
            pairs(lines(":status: 200", PRIVATE, DATE_22, LOCATION, GZIP, COOKIE)),
            pairs(lines(COOKIE, GZIP, DATE_22)),
            215,
        ),
    ]


PLAIN_REQUESTS = requests(
    "828684410f7777772e6578616d706c652e636f6d",
    "828684be58086e6f2d6361636865",
    "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
)
HUFFMAN_REQUESTS = requests(
    "828684418cf1e3c2e5f23a6ba0ab90f4ff",
    "828684be5886a8eb10649cbf",
    "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
)
PLAIN_RESPONSES = responses(
    "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d546e1768747470733a2f2f77"
    "77772e6578616d706c652e636f6d",
    "4803333037c1c0bf",
    "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a4b48514b425a"
    "584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31",
)
HUFFMAN_RESPONSES = responses(
    "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
    "4883640effc1c0bf",
    "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f36"
    "72c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
)

ALONE = {
    "C.2.1": Block(
        "400a637573746f6d2d6b65790d637573746f6d2d686561646572",
        [(b"custom-key", b"custom-header")],
        [(b"custom-key", b"custom-header")],
        55,
    ),
    "C.2.2": Block("040c2f73616d706c652f70617468", [(b":path", b"/sample/path")], [], 0),
    "C.2.3": Block("100870617373776f726406736563726574", [(b"password", b"secret")], [], 0),
    "C.2.4": Block("82", [(b":method", b"GET")], [], 0),
}


@pytest.mark.parametrize("block", ALONE.values(), ids=ALONE)
def test_each_representation_alone(block: Block) -> None:
    assert_reads(Decoder(1000), [block])


@pytest.mark.parametrize("blocks", [PLAIN_REQUESTS, HUFFMAN_REQUESTS], ids=["C.3", "C.4"])
def test_requests_on_one_connection(blocks: list[Block]) -> None:
    assert_reads(Decoder(1000), blocks)


@pytest.mark.parametrize("blocks", [PLAIN_RESPONSES, HUFFMAN_RESPONSES], ids=["C.5", "C.6"])
def test_responses_on_one_connection_with_a_table_of_256_bytes(blocks: list[Block]) -> None:
    decoder = Decoder(1000)
    decoder.table.resize(256)
    assert_reads(decoder, blocks)


def assert_reads(decoder: Decoder, blocks: list[Block]) -> None:
    for block in blocks:
        assert decoder.decode(bytes.fromhex(block.octets)) == block.headers
        assert decoder.table.entries() == block.table
        assert decoder.table.size == block.size
        assert not decoder.too_large
