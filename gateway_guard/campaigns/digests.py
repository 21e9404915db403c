"""What of an exchange the linker is told, taken from what the guard knows of it."""

from __future__ import annotations

import functools
import hashlib
from typing import Final

import xxhash

from gateway_guard.campaigns.sighting import MOST_KEYS, Sighting
from gateway_guard.core.minted import MINTED
from gateway_guard.types import Action, Client, Exchange, Outcome, PromptShape, Usage

_xxh3: Final = xxhash.xxh3_64_intdigest
_MASK: Final = (1 << 64) - 1
#: Keeps a digest of one role apart from the same digest of another, and ends from each other.
_SALT: Final = {
    "system": 0x9E3779B97F4A7C15,
    "user": 0xC2B2AE3D27D4EB4F,
    "tool": 0x165667B19E3779F9,
}
#: One fragment in so many is kept; a power of two. A prompt has about 18 (DETECTION T2).
FRAGMENT_SAMPLE: Final = 4
_OTHERS: Final = FRAGMENT_SAMPLE - 1


_COMPLETED: Final = Outcome.COMPLETED
_REFUSED: Final = Outcome.REFUSED
#: As `Action.refuses` has it.
_REFUSALS: Final = Action.CHALLENGE


def template_keys(prompt: PromptShape) -> list[int]:
    """The digests of the ends and the skeleton of each role of a prompt."""
    keys: list[int] = []
    for role in prompt.roles:
        salt = _SALT.get(role.role, 0)
        if role.head:
            keys.append(role.head ^ salt)
        if role.tail:
            keys.append((role.tail ^ salt) + 1 & _MASK)
        if role.skeleton:
            keys.append((role.skeleton ^ salt) + 2 & _MASK)
    return keys


def content_keys(prompt: PromptShape) -> tuple[int, ...]:
    """The digests under which a prompt can be found again, at most `MOST_KEYS`.

    The ends and the skeleton of each role first, then every fourth fragment.
    """
    keys = template_keys(prompt)
    keys += [fragment for fragment in prompt.shingles if not fragment & _OTHERS]
    return tuple(dict.fromkeys(keys[:MOST_KEYS]))


def client_digest(client: Client) -> int:
    """A 64-bit digest of what the client software shows of itself; 0 when it shows nothing.

    Not `hash()`, which would change with every start.
    """
    return _client_digest(client.agent, client.sdk, client.tls)


# As many as `core.hints` remembers.
@functools.lru_cache(maxsize=4096)
def _client_digest(agent: int, sdk: str | None, tls: str | None) -> int:
    shown = f"{agent}|{sdk or ''}|{tls or ''}"
    return _xxh3(shown.encode()) if shown != "0||" else 0


def _unanswered(usage: Usage) -> bool:
    """Whether it is known that the upstream gave nothing, although it was asked."""
    status, outcome = usage.status, usage.outcome
    if outcome is _REFUSED:
        return False
    return status >= 400 if status is not None else outcome is not _COMPLETED


@functools.lru_cache(maxsize=16)
def _keyed(key: bytes) -> hashlib.blake2b:
    # Copying a hasher that has taken in its key saves half of hashing with one.
    return hashlib.blake2b(key=key, digest_size=8)


def place_digest(key: bytes, place: str) -> int:
    """A 64-bit digest of an address or a range, keyed with `key` (32 bytes).

    BLAKE2b, not XXH3, which texts are digested with: there are so few addresses that all can be
    tried, and XXH3 gives its seed away to whoever knows one short address and its digest, their
    own for instance. Costs 1.2 µs (measured; XXH3 0.2).
    """
    hasher = _keyed(key).copy()
    hasher.update(place.encode())
    return int.from_bytes(hasher.digest(), "big")


def sighting_of(exchange: Exchange, key: bytes) -> Sighting | None:
    """What the linker may know of a settled exchange; None when it has nothing to learn from it.

    Nothing is learnt from requests without an account or off the model routes, with a secret that
    an account had made for its users, who are many, nor from those that the upstream answered with
    an error or not at all. They got nothing, and anybody can invent keys, to fill the linker's
    memory or make a campaign's template look popular; what an unknown key is answered differs (401,
    403, Gemini's 400). `key` (32 bytes) keys the digests of the address.
    """
    request = exchange.request
    account = request.account
    if account is None or not request.model_route or request.credential == MINTED:
        return None
    facts, usage, prompt = exchange.facts, exchange.usage, request.prompt
    known, network = facts.account, facts.network
    address, subnet = request.client_ip, request.subnet
    tokens = 0
    if usage is not None:
        if _unanswered(usage):
            return None
        tokens = (usage.input_tokens or 0) + (usage.output_tokens or 0)
    # In the order of its members: see there.
    return Sighting(
        request.at,
        account,
        known.organisation,
        known.payment,
        known.created_at,
        known.verified,
        place_digest(key, address) if address is not None else 0,
        place_digest(key, subnet) if subnet is not None else 0,
        network.country,
        network.asn,
        network.flags,
        known.country,
        client_digest(request.client),
        request.model,
        content_keys(prompt) if prompt is not None else (),
        prompt.chars if prompt is not None else 0,
        tokens,
        exchange.decision.acted and exchange.decision.action >= _REFUSALS,
        prompt.sample if prompt is not None else None,
    )
