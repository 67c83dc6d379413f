"""How fast Portway takes the masks off: prints GB/s as JSON. Run by the Python of Portway's environment."""

import json
import sys
import time

from portway.wire.websocket import mask

SIZES = (64, 1024, 64 * 1024)
KEY = 0x3D21FA37
TIMES, LEAST_SECONDS = 7, 0.05  # the best of so many measurements, each at least so long


def speed(size: int) -> float:
    data = bytes(range(256)) * (size // 256 + 1)
    unmask = mask.unmask
    assert unmask(unmask(data, 0, size, KEY), 0, size, KEY) == data[:size] != unmask(data, 0, size, KEY)
    calls, best = 1, 0.0
    for _ in range(TIMES):
        took = 0.0
        while took < LEAST_SECONDS:
            began = time.perf_counter()
            for _ in range(calls):
                unmask(data, 0, size, KEY)
            took = time.perf_counter() - began
            if took < LEAST_SECONDS:
                calls *= 2
        best = max(best, calls * size / took / 1e9)
    return round(best, 2)


if __name__ == "__main__":
    if mask.__file__.endswith(".py"):
        sys.exit("portway.wire.websocket.mask is not compiled")
    print(json.dumps({size: speed(size) for size in SIZES}))
