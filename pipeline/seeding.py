"""Independent, named random streams derived from the one `seed` of params.yaml."""

import hashlib


def derive_seed(seed: int, *names: str | int) -> int:
    """Return a 63-bit seed for the stream called `names`.

    Streams with different names are independent, so that another data order, say, leaves the
    initial weights as they were.
    """
    text = "/".join(str(part) for part in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
