"""What the linker is told of one exchange: digests, times and counts; no text unless asked to."""

from __future__ import annotations

from typing import Final

import msgspec
import xxhash

from gateway_guard.types import Client, Exchange, PromptShape

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
#: Most content keys of one exchange.
MOST_KEYS: Final = 16


class Sighting(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One exchange as the linker sees it.

    Attributes:
        at: arrival, Unix seconds.
        account: keyed digest of the credential.
        organisation: who pays; None when unknown: the account then counts as its own organisation.
        payment: the payment instrument's digest; None when unknown.
        created_at: sign-up, Unix seconds; None when unknown.
        verified: whether somebody checked who they are; None when unknown.
        address: 64-bit keyed digest of the client IP; 0 when unknown.
        subnet: the same of its /24 or /64.
        country, asn: of the client IP; None when unknown.
        flags: network flags of the client IP.
        declared: country declared at sign-up; None when unknown.
        client: 64-bit digest of what the client software shows of itself (user agent, SDK, TLS
            fingerprint); 0 when it shows nothing.
        model: the model asked for; None when unknown.
        keys: 64-bit keyed digests of what the prompt shares with others of its template: ends,
            skeleton, sampled fragments; at most `MOST_KEYS`, each once.
        chars: characters of the prompt, all roles; >= 0.
        tokens: input and output together, as far as known; >= 0.
        refused: whether the guard refused it.
        sample: how the last user text begins; None unless the policy says `keep_samples`.
    """

    at: float
    account: str
    organisation: str | None = None
    payment: str | None = None
    created_at: float | None = None
    verified: bool | None = None
    address: int = 0
    subnet: int = 0
    country: str | None = None
    asn: int | None = None
    flags: frozenset[str] = frozenset()
    declared: str | None = None
    client: int = 0
    model: str | None = None
    keys: tuple[int, ...] = ()
    chars: int = 0
    tokens: int = 0
    refused: bool = False
    sample: str | None = None


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
    for fragment in prompt.shingles:
        if not fragment % FRAGMENT_SAMPLE:
            keys.append(fragment)
    return tuple(dict.fromkeys(keys[:MOST_KEYS]))


def client_digest(client: Client) -> int:
    """A 64-bit digest of what the client software shows of itself; 0 when it shows nothing.

    Not `hash()`, which would change with every start.
    """
    shown = f"{client.agent}|{client.sdk or ''}|{client.tls or ''}"
    return _xxh3(shown.encode()) if shown != "0||" else 0


def sighting_of(exchange: Exchange, seed: int) -> Sighting | None:
    """What the linker may know of a settled exchange; None when it has nothing to learn from it.

    Nothing is learnt from requests without an account or off the model routes. `seed` keys the
    digests of the address.
    """
    request = exchange.request
    account = request.account
    if account is None or not request.model_route:
        return None
    facts, usage, prompt = exchange.facts, exchange.usage, request.prompt
    known, network = facts.account, facts.network
    address, subnet = request.client_ip, request.subnet
    tokens = 0
    if usage is not None:
        tokens = (usage.input_tokens or 0) + (usage.output_tokens or 0)
    return Sighting(
        at=request.at,
        account=account,
        organisation=known.organisation,
        payment=known.payment,
        created_at=known.created_at,
        verified=known.verified,
        address=_xxh3(address.encode(), seed) if address is not None else 0,
        subnet=_xxh3(subnet.encode(), seed) if subnet is not None else 0,
        country=network.country,
        asn=network.asn,
        flags=network.flags,
        declared=known.country,
        client=client_digest(request.client),
        model=request.model,
        keys=content_keys(prompt) if prompt is not None else (),
        chars=prompt.chars if prompt is not None else 0,
        tokens=tokens,
        refused=exchange.decision.acted and exchange.decision.action.refuses,
        sample=prompt.sample if prompt is not None else None,
    )
