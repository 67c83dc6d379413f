"""The floor of the table: an event loop that answers fixed bytes and parses nothing.

No server on this loop can be cheaper. Run as: python floor.py PORT
"""

import asyncio
import sys

import uvloop

ANSWER = (
    b"HTTP/1.1 200 OK\r\n"
    b"date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
    b"server: floor\r\n"
    b"content-type: text/plain\r\n"
    b"content-length: 13\r\n"
    b"\r\n"
    b"Hello, World!"
)


class Floor(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        # One read is one request: the client does not pipeline, and its head fits one segment.
        self.transport.write(ANSWER)


async def serve(port: int):
    server = await asyncio.get_running_loop().create_server(Floor, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
