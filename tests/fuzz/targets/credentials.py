"""A credential has one spelling: the scheme's case and white space make no other account, two
lines are a fault, and what was read, written again, reads the same."""

from __future__ import annotations

import base64

from gateway_guard.core.credentials import Credential, digest, name_digest, read_credential
from gateway_guard.types import CredentialFault
from tests.fuzz.taken import Taken

WORDS = (
    b"Bearer ", b"bearer\t", b"BEARER  ", b"Basic ", b"basic dXNlcjpwYXNz", b"=", b"==", b"sk-abc",
    b"Token ", b" ", b"\t", b"\xc2\xa0", b"\xe2\x80\x8b", b"\x85", b"\x00", b",", b'"', b"Digest ",
)  # fmt: skip
_HEADERS = (b"authorization", b"proxy-authorization", b"x-api-key", b"api-key")
_SECRET = b"0123456789abcdef"


def target(data: bytes) -> None:
    """Which header, then its value."""
    taken = Taken(data)
    header = taken.pick(_HEADERS)
    value = taken.rest()

    found = read_credential(header, [value])

    assert read_credential(header, [value, value]) is CredentialFault.REPEATED_HEADER
    assert read_credential(header, [b" \t" + value + b"\t "]) == found
    if not isinstance(found, Credential):
        return
    assert found.token
    account = digest(_SECRET, found.token)
    assert len(account) == 21
    assert account.startswith("acct_")
    assert account != name_digest(_SECRET, found.token)
    if header.endswith(b"authorization"):
        assert all(0x21 <= byte < 0x7F for byte in found.token)
        scheme, _, rest = value.strip(b" \t").replace(b"\t", b" ").partition(b" ")
        if rest:
            for spelled in (scheme.upper(), scheme.lower(), scheme.swapcase()):
                assert read_credential(header, [spelled + b"\t  " + rest.lstrip(b" ")]) == found
        if found.kind == "basic":
            assert base64.b64decode(found.token, validate=True) is not None
            bare = found.token.rstrip(b"=")
            assert read_credential(header, [b"basic " + bare]) == found
        if found.kind != "authorization":
            again = read_credential(header, [found.kind.encode() + b" " + found.token])
            assert again == found, (value, found, again)
    else:
        # A scheme in front of it is passed over.
        assert value.strip(b" \t").endswith(found.token)
        assert read_credential(header, [found.token]) == found
