"""What arrived, as received and as identified."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

import msgspec

from gateway_guard.types.credential import CredentialFault
from gateway_guard.types.prompt import PromptShape
from gateway_guard.types.veiled import Veiled


class Dialect(enum.StrEnum):
    """Whose API the client speaks; decides how bodies are read and refusals are written."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    OTHER = "other"

    __hash__ = str.__hash__


class Inspection(enum.StrEnum):
    """How much of the body the guard could read, hence judge.

    `NONE`: nothing to read (no body, or not a model route). `UNSEEN`: a gateway asks without the
    body, which the upstream will get. `FULL`: read exactly as the upstream will parse it. Every
    other value names why the body is *unknown*.
    """

    NONE = "none"
    UNSEEN = "unseen"
    FULL = "full"
    TOO_LARGE = "too-large"
    ENCODING = "encoding"
    CHARSET = "charset"
    CONTENT_TYPE = "content-type"
    NOT_JSON = "not-json"
    DUPLICATE_KEYS = "duplicate-keys"
    SHAPE = "shape"

    __hash__ = str.__hash__

    @property
    def unknown(self) -> bool:
        """Whether the body exists but could not be read."""
        return self not in _NOT_UNKNOWN


_NOT_UNKNOWN = (Inspection.NONE, Inspection.UNSEEN, Inspection.FULL)


class Wire(Veiled, msgspec.Struct, kw_only=True, gc=False):
    """One request as a frontend received it, nothing believed yet. Lives only until `identify`.

    Attributes:
        method: upper case, e.g. `POST`. `WEBSOCKET` for a WebSocket handshake and nothing else:
            a method that a client calls so is `websocket`.
        raw_path: the request target's path, percent-encoded as received, no query string.
        headers: (lower-case name, value) in order of arrival, duplicates kept. No trailers.
        peer: address of the other end of the connection in text form; None for a unix socket or
            when the server does not say.
        body: the whole body as received (still content-encoded), or None when it was not read.
        body_too_large: the body went past the policy's `inspect.max_body`; `body` is then None.
        unseen: whoever asks keeps the body to itself.
        asked: a gateway that the policy trusts asks about it, whoever `peer` is.
        state: what the application put into `scope["state"]["gateway_guard"]`, else None.
        query: the query string as received; empty when there is none.
    """

    veiled = frozenset(("headers", "body", "state", "query"))

    method: str
    raw_path: bytes
    headers: list[tuple[bytes, bytes]]
    peer: str | None
    body: bytes | None = None
    body_too_large: bool = False
    unseen: bool = False
    state: Mapping[str, Any] | None = None
    query: bytes = b""
    asked: bool = False


class Client(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the client says of itself: weak hints, each forgeable.

    Attributes:
        agent: 64-bit keyed digest of the user agent with version numbers masked; 0 when absent.
        sdk: the SDK's own metadata, e.g. `python/1.40.0/linux/cpython`; None when absent.
        tls: TLS fingerprint (JA4) handed over by a trusted edge; None otherwise.
        languages: primary regions of Accept-Language, e.g. `("DE", "AT")`; empty when none.
        utc_offset: the client's claimed UTC offset in minutes (`x-timezone` or `date` style hints
            an application forwards); None when absent.
    """

    agent: int = 0
    sdk: str | None = None
    tls: str | None = None
    languages: tuple[str, ...] = ()
    utc_offset: int | None = None


class Request(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One request, identified. Everything later stages may know of what arrived.

    Attributes:
        id: unique per guard, e.g. `r_01jq…`.
        at: arrival, Unix seconds; the only clock of every later stage.
        method: upper case; `WEBSOCKET` for a WebSocket handshake.
        path: canonical path, percent-decoded once, `.` segments and repeated slashes resolved;
            None when the spelling is ambiguous (`..`, an encoded slash, backslash, NUL, …).
        dialect: whose API this is.
        model_route: whether the path is one that reaches a model.
        model: the model asked for; None when unknown or not a model route.
        client_ip: canonical text form, transition addresses unwrapped; None when unknown.
        ip_source: where `client_ip` came from, in words: `peer`, `hop 2 of x-forwarded-for`, …
        subnet: the client's /24 (IPv4) or /64 (IPv6) in CIDR form; None when unknown.
        account: keyed digest `acct_…` of the credential; None when there is none.
        credential: how the account was recognised: `bearer`, `x-api-key`, `jwt`, `state`, `query`,
            `subprotocol`, `client-secret` (one the account had made), …; `ambiguous` when two
            readers would read it differently.
        credential_fault: why a credential that was present names no account; None when it names
            one, or when there is none.
        said: attributes that its token says of it, by name, not yet read; None for none.
        client: hints about the client.
        inspection: how much of the body could be read.
        prompt: shape of the prompt; None unless `inspection` is `FULL` on a model route.
    """

    id: str
    at: float
    method: str
    path: str | None
    dialect: Dialect = Dialect.OTHER
    model_route: bool = False
    model: str | None = None
    client_ip: str | None = None
    ip_source: str = "peer"
    subnet: str | None = None
    account: str | None = None
    credential: str | None = None
    credential_fault: CredentialFault | None = None
    said: Mapping[str, Any] | None = None
    client: Client = Client()
    inspection: Inspection = Inspection.NONE
    prompt: PromptShape | None = None
