"""A signed bundle with anything in it changed is refused, and one by nobody known, too: what passes
is what was signed, in whatever spelling."""

from __future__ import annotations

from functools import cache

import msgspec

from gateway_guard.errors import IntelError
from gateway_guard.intel import bundle
from gateway_guard.intel.indicator import Indicator
from gateway_guard.intel.keys import Signer, Trusted, read_trusted
from tests.fuzz.taken import Taken

WORDS = (
    b'{"key":"', b'","payload":{', b'"signature":"', b'"number":1', b'"until":1800000000',
    b'"tlp":"amber"', b'"indicators":[]', b'"format":"gateway-guard bundle"', b'"version":1',
    b"\\u0061", b" ", b"1e3", b"1.0", b'"group":""', b"null", b"true", b"=", b"-", b"_", b"}",
    b"[" * 100,
)  # fmt: skip
_NOW = 1_790_000_000.0


@cache
def signed() -> tuple[bytes, dict[str, Trusted]]:
    """A bundle, and who is trusted."""
    signer = Signer.made()
    one = Indicator(
        id="i", kind="network", value="203.0.113.0/24", name="c", confidence=80,
        since=int(_NOW), until=int(_NOW) + 9,
    )  # fmt: skip
    made = bundle.bundle_of([one], now=_NOW, days=30, tlp="amber", group="")
    return bundle.signed(made, signer), read_trusted(f"acme {signer.public}", "keys")


def read(data: bytes) -> bundle.Bundle | None:
    """What passes."""
    try:
        return bundle.verified(data, signed()[1], now=_NOW)[0]
    except IntelError as error:
        said = str(error)
    assert len(said) < 600, said
    return None


def target(data: bytes) -> None:
    """Where, and how much, to replace by what; the same bytes by themselves; and as a payload."""
    taken = Taken(data)
    at, much = taken.number(2), taken.byte()
    rest = taken.rest()
    whole, trusted = signed()
    meant = read(whole)
    assert meant is not None

    spot = at % (len(whole) + 1)
    for changed in (whole[:spot] + rest + whole[spot + much :], whole[:spot], whole + rest):
        found = read(changed)
        if found is not None:
            assert found == meant, changed
            before, after = (msgspec.json.decode(one) for one in (whole, changed))
            assert before["payload"] == after["payload"]
    assert read(rest) in (None, meant)
    envelope = {"key": next(iter(trusted)), "payload": rest.decode("latin-1"), "signature": "AAAA"}
    assert read(msgspec.json.encode(envelope)) is None
