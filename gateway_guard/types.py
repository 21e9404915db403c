"""The nouns: what flows from stage to stage of one request.

All of them are frozen, keyword-only records except `Profile` (an account's memory, written only by
`core.profile`) and `Exchange` (one request under way, written only by `guard.Guard`). They are
`msgspec.Struct`s: as strict as frozen dataclasses, a fifth of the cost to build, and, with
`gc=False`, invisible to the garbage collector. None of them ever holds prompt text, a header
value or a credential; credentials and templates appear as keyed digests only.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, Final

import msgspec


class Action(enum.IntEnum):
    """What the guard does with a request, in rising order of severity.

    `ALLOW` forwards; `RESTRICT` forwards with less; `CHALLENGE` asks for step-up verification;
    `THROTTLE` says come back later (429); `DENY` says don't (403, 451).
    """

    ALLOW = 0
    RESTRICT = 1
    CHALLENGE = 2
    THROTTLE = 3
    DENY = 4

    # `Enum` hashes in Python, on every look-up in a set or dict.
    __hash__ = int.__hash__

    @property
    def word(self) -> str:
        """The action as policies, logs and replay files spell it, e.g. `deny`."""
        return _ACTION_WORDS[self]

    @property
    def refuses(self) -> bool:
        """Whether the request does not reach the upstream."""
        return self >= Action.CHALLENGE

    @classmethod
    def from_word(cls, word: str) -> Action:
        """The action spelled `word`; raises `KeyError` for any other spelling."""
        return _ACTIONS[word]


_ACTION_WORDS: Final = ("allow", "restrict", "challenge", "throttle", "deny")
_ACTIONS: Final = {word: Action(i) for i, word in enumerate(_ACTION_WORDS)}


class Dialect(enum.StrEnum):
    """Whose API the client speaks; decides how bodies are read and refusals are written."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    OTHER = "other"

    __hash__ = str.__hash__


#: What network facts may be flagged with, in the order they are printed.
NETWORK_FLAGS: Final = ("hosting", "proxy", "relay", "residential", "tor", "vpn")

#: A fact nobody could establish. A matchable value in policies; never an exception.
UNKNOWN: Final = "unknown"


class Inspection(enum.StrEnum):
    """How much of the body the guard could read, hence judge.

    `NONE`: nothing to read (no body, or not a model route). `FULL`: read exactly as the upstream
    will parse it. Every other value names why the body is *unknown*.
    """

    NONE = "none"
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
        return self is not Inspection.NONE and self is not Inspection.FULL


class Wire(msgspec.Struct, kw_only=True, gc=False):
    """One request as a frontend received it, nothing believed yet. Lives only until `identify`.

    Attributes:
        method: upper case, e.g. `POST`. `WEBSOCKET` for a WebSocket handshake.
        raw_path: the request target's path, percent-encoded as received, no query string.
        headers: (lower-case name, value) in order of arrival, duplicates kept. No trailers.
        peer: address of the other end of the connection in text form; None for a unix socket or
            when the server does not say.
        body: the whole body as received (still content-encoded), or None when it was not read.
        body_too_large: the body went past the policy's `inspect.max_body`; `body` is then None.
        state: what the application put into `scope["state"]["gateway_guard"]`, else None.
    """

    method: str
    raw_path: bytes
    headers: list[tuple[bytes, bytes]]
    peer: str | None
    body: bytes | None = None
    body_too_large: bool = False
    state: Mapping[str, Any] | None = None


class RoleShape(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Digests of one role's text in a prompt; equal templates give equal digests.

    Attributes:
        role: `system`, `user` or `tool`.
        head: 64-bit keyed digest of the first words, digits masked (DETECTION T1); 0 if too short.
        tail: the same of the last words.
        skeleton: 64-bit keyed digest of the text with quoted, numeric and variable parts masked.
        chars: length of the text, in characters.
    """

    role: str
    head: int
    tail: int
    skeleton: int
    chars: int


class PromptShape(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the guard keeps of a prompt: lengths, digests and counts, never text.

    Attributes:
        messages: number of messages, system prompt included.
        chars: total characters of text over all roles.
        roles: one `RoleShape` for the system text and one for the *last* user text, where present.
        shingles: 64-bit keyed digests of fragments (three to eight words, cut at words of a given
            beginning) of the last user text's first 1,000 and last 400 characters, at most 64.
        elicitation: names of elicitation categories seen (see `signals.reasoning_elicit`).
        phrases: the policy's own phrases (`when: { prompt: … }`) found in any text, lower case.
        input_tokens: estimated input tokens, >= 0.
        max_output_tokens: the cap the client asked for; None when it did not.
        assumed_output_tokens: tokens reckoned with when there is no cap, >= 1.
        n: number of completions asked for, >= 1.
        batch: requests in a batch, >= 1, `max_output_tokens` then being that of all together; 0
            when the body is none.
        logprobs: whether token probabilities were asked for.
        tools: number of tools offered.
        stream: whether the client asked for a stream.
        include_usage: whether the client itself asked for usage in the stream (OpenAI).
    """

    messages: int = 0
    chars: int = 0
    roles: tuple[RoleShape, ...] = ()
    shingles: tuple[int, ...] = ()
    elicitation: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    input_tokens: int = 0
    max_output_tokens: int | None = None
    assumed_output_tokens: int = 1024
    n: int = 1
    batch: int = 0
    logprobs: bool = False
    tools: int = 0
    stream: bool = False
    include_usage: bool = False


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


class AccountFacts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the operator knows of an account. None means *unknown*, which policies can match.

    Attributes:
        organisation: who pays, as a digest or opaque id.
        created_at: Unix seconds.
        country: ISO 3166-1 alpha-2 declared at sign-up.
        payment: digest of the payment instrument.
        programme: e.g. `edu`, `research`, `startup`.
        tier: e.g. `free`.
        verified: whether somebody checked who they are.
        tags: operator's own labels, e.g. `partner`.
    """

    organisation: str | None = None
    created_at: float | None = None
    country: str | None = None
    payment: str | None = None
    programme: str | None = None
    tier: str | None = None
    verified: bool | None = None
    tags: tuple[str, ...] = ()


class NetworkFacts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the network database says of an address.

    Attributes:
        country: ISO 3166-1 alpha-2 where the address is used; None when unknown.
        asn: autonomous system number; None when unknown.
        as_org: its operator's name; None when unknown.
        flags: subset of `NETWORK_FLAGS`. Empty means "looked, nothing flagged".
        known: False when no database could answer (missing, corrupt, bad address); then nothing
            above means anything and `network: unknown` matches.
    """

    country: str | None = None
    asn: int | None = None
    as_org: str | None = None
    flags: frozenset[str] = frozenset()
    known: bool = True


class CampaignFacts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The campaign an account is held to belong to, and how sure that is, in [0, 1]."""

    id: str
    confidence: float


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
        credential: how the account was recognised: `bearer`, `x-api-key`, `jwt`, `state`, …;
            `ambiguous` when two readers would read it differently.
        authenticated: False only when a credential was present but failed verification (bad JWT).
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
    authenticated: bool = True
    client: Client = Client()
    inspection: Inspection = Inspection.NONE
    prompt: PromptShape | None = None


class Held(msgspec.Struct, kw_only=True, gc=False):
    """The highest recent risk of an account, kept so that a quota recovers slowly.

    Attributes:
        risk: in [0, 1], at time `at`; it decays linearly to 0 over a limit's `recover`.
        at: Unix seconds.
    """

    risk: float = 0.0
    at: float = 0.0


class Facts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is known about a request beyond what it says.

    Attributes:
        network: the client IP's facts.
        account: attributes of the account; all-None when the directory does not know it.
        profile: the account's own history, or None for a request without an account. Its type is
            `signals.base.Profile`; only detectors read it.
        held: highest recent risk of the account; None when there is no account.
        campaign: the campaign verdict; None when the account is in none.
        indicators: names of shared indicators that match.
    """

    network: NetworkFacts = NetworkFacts(known=False)
    account: AccountFacts = AccountFacts()
    profile: Any = None
    held: Held | None = None
    campaign: CampaignFacts | None = None
    indicators: tuple[str, ...] = ()


class Signal(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One detector's opinion of one request: evidence, not a verdict.

    Attributes:
        name: the detector's name as policies spell it, e.g. `template-sweep`.
        score: strength of the evidence, dimensionless, in [0, 1]. 0 is "looked, saw
            nothing"; a detector that could not look returns no signal at all.
        evidence: one sentence an operator can check, with the measured value and the
            threshold. No prompt text, no credential.

    Raises:
        ValueError: `score` is outside [0, 1] or NaN.
    """

    name: str
    score: float
    evidence: str = ""

    def __post_init__(self) -> None:
        if not 0.0 <= self.score <= 1.0:
            raise ValueError(f"score of signal {self.name!r} is {self.score!r}, not in [0, 1]")


class Assessment(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the detectors think together.

    Attributes:
        signals: those with a score above 0, strongest contribution first.
        risk: 1 - product of (1 - weight x score), in [0, 1]. Source: noisy-or of independent
            causes (Pearl 1988, §4.3.2).
    """

    signals: tuple[Signal, ...] = ()
    risk: float = 0.0


class Restrictions(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What `restrict` takes away; None leaves a thing as the client asked.

    Attributes:
        max_output_tokens: upper bound put on the output cap, tokens, >= 1.
        logprobs: False drops any request for token probabilities.
        n: upper bound on the number of completions, >= 1.
    """

    max_output_tokens: int | None = None
    logprobs: bool | None = None
    n: int | None = None


class Charge(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one limit is asked for, sized for this request's risk.

    A bucket holds `capacity` units, drains `rate` units a second and starts empty (nothing used);
    a concurrency charge has `rate` 0 and counts what is in flight.

    Attributes:
        limit: the limit's name in the policy.
        key: what is charged, namespaced by the limit: `tokens:acct_k3v…`.
        unit: `requests`, `tokens`, `input-tokens`, `output-tokens` or `concurrent`.
        cost: units asked for, >= 0.
        capacity: most units that may be outstanding at once, > 0.
        rate: units regained per second, >= 0.
        quota: units per `window`, after adaptation.
        window: seconds; 0 for concurrency.
    """

    limit: str
    key: str
    unit: str
    cost: float
    capacity: float
    rate: float
    quota: float
    window: float


class Grant(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One limit's answer.

    Attributes:
        charge: what was asked.
        allowed: whether this limit had room.
        remaining: units left after the charge (before it when refused), >= 0.
        retry_after: seconds until this very charge would fit; 0 when allowed.
        reset: seconds until the bucket is empty again (nothing used).
    """

    charge: Charge
    allowed: bool
    remaining: float
    retry_after: float
    reset: float


class ShadowHit(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A rule that matched but only rehearses."""

    rule: str
    action: Action


class Plan(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The judgement before quotas.

    Attributes:
        action: what the rules say.
        rule: name of the rule that matched; None for the policy's default. Built-in judgements
            (unreadable body, ambiguous path) are named `guard:body`, `guard:path`, …
        reason: why, in words, for the decision log; never sent to the client.
        status: HTTP status of a refusal; None for the action's own.
        where: `file:line` of the rule; None for the default.
        charges: what to reserve; empty when the action refuses (refusals are free).
        restrictions: what to take away; None unless the action is `RESTRICT`.
        shadow: rules that matched in rehearsal, in file order.
        enforced: whether the policy (mode, rollout share) acts on this account at all.
        tarpit: seconds to hold a refusal before answering; 0 for none.
        challenge_url: where to verify; None unless the action is `CHALLENGE`.
        retry_after: seconds a `throttle` rule asks to wait; None otherwise.
    """

    action: Action
    rule: str | None = None
    reason: str = ""
    status: int | None = None
    where: str | None = None
    charges: tuple[Charge, ...] = ()
    restrictions: Restrictions | None = None
    shadow: tuple[ShadowHit, ...] = ()
    enforced: bool = True
    tarpit: float = 0.0
    challenge_url: str | None = None
    retry_after: float | None = None


class Decision(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The judgement after quotas: what the frontend carries out and the log records.

    Attributes:
        action: what the guard decided.
        acted: whether the frontend carries it out. False in shadow: the request is forwarded
            unchanged and no byte of the response changes.
        rule, reason, where: as in `Plan`; a throttle by a limit is named `limit:NAME`.
        status: HTTP status of the refusal; None when the request is forwarded.
        retry_after: seconds, exact; None when a retry is useless or needless.
        grants: every limit's answer, in policy order.
        restrictions: what to take away from the forwarded request; None for nothing.
        shadow: rules that matched in rehearsal.
        tarpit: seconds to hold the refusal.
        challenge_url: where to verify; None unless the action is `CHALLENGE`.
        degraded: names of dependencies that failed and were decided by `on_error`.
        policy: digest of the policy that decided.
    """

    action: Action
    acted: bool = True
    rule: str | None = None
    reason: str = ""
    where: str | None = None
    status: int | None = None
    retry_after: float | None = None
    grants: tuple[Grant, ...] = ()
    restrictions: Restrictions | None = None
    shadow: tuple[ShadowHit, ...] = ()
    tarpit: float = 0.0
    challenge_url: str | None = None
    degraded: tuple[str, ...] = ()
    policy: str = ""

    @property
    def forwards(self) -> bool:
        """Whether the request goes to the upstream."""
        return not (self.acted and self.action.refuses)


class Outcome(enum.StrEnum):
    """How an exchange ended."""

    COMPLETED = "completed"
    REFUSED = "refused"
    CLIENT_GONE = "client-gone"
    UPSTREAM_CUT = "upstream-cut"
    UPSTREAM_ERROR = "upstream-error"

    __hash__ = str.__hash__


class Usage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What an exchange really cost.

    Attributes:
        input_tokens: tokens read; None when nobody said: the estimate stands, absent is not 0.
        output_tokens: tokens written; None likewise.
        outcome: how it ended.
        status: the upstream's HTTP status; None when it never answered.
        reported: whether the upstream itself counted; False for an estimate of what was delivered.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    outcome: Outcome = Outcome.COMPLETED
    status: int | None = None
    reported: bool = False


class Exchange(msgspec.Struct, kw_only=True, gc=False):
    """One request under way: what each stage left for the next. Written only by `guard.Guard`.

    `settled` turns True exactly once. Nothing it holds may hold it in turn: the garbage collector
    does not see it.
    """

    request: Request
    facts: Facts = Facts()
    assessment: Assessment = Assessment()
    plan: Plan | None = None
    decision: Decision
    usage: Usage | None = None
    settled: bool = False


class Campaign(msgspec.Struct, frozen=True, kw_only=True):
    """Accounts that act as one.

    Attributes:
        id: stable name, `c_…`.
        members: account → confidence of membership in [0, 1].
        evidence: one sentence per kind of evidence.
        confidence: of the group as a whole, in [0, 1].
        first_seen, alarm_at: Unix seconds; `alarm_at` is None while only a candidate.
    """

    id: str
    members: Mapping[str, float]
    evidence: tuple[str, ...] = ()
    confidence: float = 0.0
    first_seen: float = 0.0
    alarm_at: float | None = None
