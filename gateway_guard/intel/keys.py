"""Ed25519 keys: who signs bundles, and whose are believed."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gateway_guard.errors import IntelError

_PREFIX: Final = "ed25519:"
#: Sources' names: as policies write them.
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MOST_KEYS: Final = 64


class Signer:
    """One who signs.

    Attributes:
        id: of the public key, 16 hex digits.
        public: the public key as it is handed to others, `ed25519:…`.
    """

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        raw = key.public_key().public_bytes_raw()
        self.id = _id(raw)
        self.public = _PREFIX + base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    @classmethod
    def made(cls) -> Signer:
        """A new one."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def read(cls, pem: bytes, where: str) -> Signer:
        """The one whose private key `pem` holds; `where` names it in messages.

        Raises:
            IntelError: it holds none.
        """
        try:
            key = serialization.load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise IntelError(
                f"{where}: no private Ed25519 key in PEM form without a password; make one with: "
                "gateway-guard intel keygen FILE"
            )
        return cls(key)

    @property
    def pem(self) -> bytes:
        """The private key; keep it from others."""
        return self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    def sign(self, data: bytes) -> bytes:
        """The signature of `data`, 64 bytes."""
        return self._key.sign(data)


class Trusted(msgspec.Struct, frozen=True, kw_only=True):
    """One whose bundles are believed.

    Attributes:
        name: what they are called here; policies ask for it as `source`.
        id: of the key.
        raw: the public key, 32 bytes.
    """

    name: str
    id: str
    raw: bytes

    def signed(self, data: bytes, signature: bytes) -> bool:
        """Whether they signed `data`."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, data)
        except (InvalidSignature, ValueError):
            return False
        return True


def read_trusted(text: str, where: str) -> dict[str, Trusted]:
    """The keys of a list, by id: lines of a name and a key, `acme ed25519:…`; `#` begins a comment.

    Raises:
        IntelError: a line makes no sense; says which and what to write.
    """
    keys: dict[str, Trusted] = {}
    names: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        place = f"{where}:{number}"
        if len(words) != 2 or not words[1].startswith(_PREFIX):
            raise IntelError(f"{place}: write a name and a key: acme {_PREFIX}…")
        name = source_name(words[0], place)
        raw = _public(words[1], place)
        if name in names:
            raise IntelError(f"{place}: {name} stands in line {names[name]} already; one key each")
        if _id(raw) in keys:
            raise IntelError(f"{place}: this is {keys[_id(raw)].name}'s key; one name each")
        if len(keys) >= MOST_KEYS:
            raise IntelError(f"{place}: more than {MOST_KEYS} keys")
        names[name] = number
        keys[_id(raw)] = Trusted(name=name, id=_id(raw), raw=raw)
    return keys


def source_name(text: str, where: str) -> str:
    """`text` as the name of a source.

    Raises:
        IntelError: it is none; `where` is in the message.
    """
    if _NAME.fullmatch(text) is None or text in ("known", "unknown"):
        raise IntelError(
            f"{where}: {text[:64]!r} is no name for a source: 1 to 64 letters, digits, '.', '_' "
            "or '-', as policies will write it"
        )
    return text


def _public(text: str, where: str) -> bytes:
    digits = text.removeprefix(_PREFIX)
    try:
        raw = base64.b64decode(digits + "=" * (-len(digits) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != 32:
        raise IntelError(
            f"{where}: this is no Ed25519 public key; `gateway-guard intel keygen` prints it, "
            f"{_PREFIX} and 43 characters"
        )
    return raw


def _id(raw: bytes) -> str:
    return hashlib.sha256(b"gateway-guard intel key\0" + raw).hexdigest()[:16]
