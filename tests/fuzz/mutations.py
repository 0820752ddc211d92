"""Damage to the bytes of a file."""

import numpy as np


def mutated(rng: np.random.Generator, body: bytearray, other: bytes) -> bytearray:
    """Damage a file in one of seven ways; half of the damage is near its beginning."""
    n = len(body)

    def place() -> int:
        return int(rng.integers(0, min(n, 200) if rng.random() < 0.5 else n))

    way = rng.integers(7)
    if way == 0:  # cut off
        return body[: place()]
    if way == 1:  # bytes changed
        for _ in range(int(rng.integers(1, 30))):
            body[place()] = int(rng.integers(256))
    elif way == 2:  # bits flipped
        for _ in range(int(rng.integers(1, 10))):
            body[place()] ^= 1 << int(rng.integers(8))
    elif way == 3:  # a stretch lost
        start = place()
        del body[start : start + int(rng.integers(1, 500))]
    elif way == 4:  # a stretch doubled
        start = place()
        body[start:start] = body[start : start + int(rng.integers(1, 500))]
    elif way == 5:  # the header of another file
        cut = int(rng.integers(1, 200))
        body[:cut] = other[:cut]
    else:  # four bytes made a large number
        start = place()
        body[start : start + 4] = bytes(rng.choice([0x7F, 0xFF, 0x00, 0x80], 4).tolist())
    return body
