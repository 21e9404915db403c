"""What request number n is. Nothing else needs to be kept of it: the number is in its path."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

#: Accounts and addresses that come once, before they begin again.
COLD: Final = 1_000_000
#: One request in so many is of an account that asks often; of those there are so many at a time,
#: and after so many requests of everybody there are others.
OFTEN: Final = 10
HOT: Final = 4
EPOCH: Final = 4_000
MODELS: Final = ("apex-4", "apex-4-mini", "wide-2", "tiny-1")
KINDS: Final = (
    *[("POST", "v1/chat/completions")] * 14,
    *[("GET", "v1/models")] * 4,
    ("GET", "admin"),
    ("DELETE", "files"),
)
_NUMBER: Final = re.compile(r"/s/(\d+)/")


class Ask(NamedTuple):
    """One request.

    Attributes:
        number: which one.
        key: its credential.
        hot: whether that account asks often.
        address: where it comes from.
        method, path: as in its first line.
        model: of a chat; None otherwise.
    """

    number: int
    key: str
    hot: bool
    address: str
    method: str
    path: str
    model: str | None


def draw(number: int, salt: int) -> int:
    """A number that looks like chance, in [0, 2**32)."""
    mixed = (number * 0x9E3779B97F4A7C15 + salt * 0xBF58476D1CE4E5B9) & (2**64 - 1)
    mixed ^= mixed >> 29
    mixed = mixed * 0x94D049BB133111EB & (2**64 - 1)
    return mixed >> 32


def ask(number: int) -> Ask:
    """Request number `number`, always the same."""
    method, end = KINDS[draw(number, 1) % len(KINDS)]
    hot = draw(number, 2) % OFTEN == 0
    if hot:
        key = f"sk-hot-{number // EPOCH}-{draw(number, 3) % HOT}"
    else:
        key = f"sk-cold-{number % COLD}"
    # An odd factor: so many different addresses until they begin again.
    host = (number % COLD) * 16_777_213 % 2**24
    return Ask(
        number=number,
        key=key,
        hot=hot,
        address=f"30.{host >> 16}.{host >> 8 & 255}.{host & 255}",
        method=method,
        path=f"/s/{number}/{end}",
        model=MODELS[draw(number, 4) % len(MODELS)] if method == "POST" else None,
    )


def number_of(path: str) -> int | None:
    """The number in a path of the decision log."""
    found = _NUMBER.match(path)
    return int(found[1]) if found else None


def raw(one: Ask) -> bytes:
    """The request as it is sent."""
    head = (
        f"{one.method} {one.path} HTTP/1.1\r\nHost: api.test\r\n"
        f"Authorization: Bearer {one.key}\r\nX-Forwarded-For: {one.address}\r\n"
    )
    if one.model is None:
        return f"{head}\r\n".encode()
    body = f'{{"model":"{one.model}","messages":[{{"role":"user","content":"Ask {one.number}"}}]}}'
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}\r\n{body}".encode()
