"""Every key of the policy language, in one table: its type, its bounds and what it means.

"Did you mean", the readers' bounds and the reference page all come from here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from gateway_guard.core.caps import CHAT
from gateway_guard.types import INDICATOR_KINDS, NETWORK_FLAGS, Action, Dialect, Inspection


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key.

    Attributes:
        name: as written, snake_case.
        kind: `flag` (true or false), `integer`, `number`, `text`, `word` (one of `words`),
            `percent`, `duration`, `size`, `rate`, `section` (a mapping described by `SCHEMA[of]`),
            `sections` (a list of those), `named` (a mapping name → section), or one of the kinds
            only one reader knows (`countries`, `bands`, …).
        doc: what it does, in one line.
        words: allowed words, for `word` and `words`.
        low, high: inclusive bounds of a quantity, in `unit`s of its kind (seconds for durations,
            1 for 100 %, bytes for sizes).
        of: name of the section, for `section`, `sections` and `named`.
        required: whether leaving it out is an error.
    """

    name: str
    kind: str
    doc: str
    words: tuple[str, ...] = ()
    low: float = -math.inf
    high: float = math.inf
    of: str = ""
    required: bool = False


YEAR: Final = 366 * 86400.0
METHODS: Final = (
    "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE", "WEBSOCKET",
)  # fmt: skip
BODIES: Final = (*(i.value for i in Inspection), "unknown")
UNITS: Final = {
    "requests": "requests",
    "tokens": "tokens",
    "input_tokens": "input-tokens",
    "output_tokens": "output-tokens",
    "concurrent": "concurrent",
}
DENY_OR_ALLOW: Final = ("deny", "allow")
ACTIONS: Final = tuple(action.word for action in Action)

_WHEN: Final = (
    Key(name="country", kind="countries",
        doc="where the address is used: country codes or names of regions"),
    Key(name="account_country", kind="countries",
        doc="country declared at sign-up: country codes or names of regions"),
    Key(name="network", kind="words", words=NETWORK_FLAGS,
        doc="what the network database flags the address with"),
    Key(name="asn", kind="asns", doc="autonomous system numbers, e.g. 64500 or AS64500"),
    Key(name="client_ip", kind="networks", doc="addresses or networks in CIDR form"),
    Key(name="path", kind="paths",
        doc="canonical path, case ignored: `/v1/*` (one segment), `/admin/**` (it and below)"),
    Key(name="method", kind="words", words=METHODS, doc="HTTP method, or WEBSOCKET"),
    Key(name="model", kind="models", doc="model asked for, `*` for anything, case ignored"),
    Key(name="dialect", kind="words", words=tuple(d.value for d in Dialect), doc="whose API it is"),
    Key(name="model_route", kind="flags", doc="whether the path reaches a model"),
    Key(name="body", kind="words", words=BODIES,
        doc="how much of the body could be read; `unknown` for every way it could not"),
    Key(name="stream", kind="flags", doc="whether the client asked for a stream"),
    Key(name="account", kind="accounts", doc="`known`, `unknown` or digests `acct_…`"),
    Key(name="organisation", kind="texts", doc="who pays"),
    Key(name="account_tag", kind="texts", doc="the operator's labels; `unknown` for none at all"),
    Key(name="account_age", kind="ages", doc="time since sign-up: { min, max } or `unknown`"),
    Key(name="tier", kind="texts", doc="the account's tier"),
    Key(name="verified", kind="flags", doc="whether somebody checked who they are"),
    Key(name="programme", kind="texts", doc="e.g. edu, research, startup"),
    Key(name="risk", kind="bands", low=0, high=1, doc="{ min, max } of the combined risk"),
    Key(name="signal", kind="signals", doc="name of a signal → { min, max } of its score"),
    Key(name="campaign", kind="campaigns", low=0, high=1,
        doc="{ min, max } of the confidence, `known` or `unknown`"),
    Key(name="prompt", kind="phrases", doc="literal phrases, case ignored, anywhere in the prompt"),
    Key(name="indicator", kind="indicators", of="indicator",
        doc="shared indicators that match: `known`, `unknown`, names, or "
        "{ source, kind, name, confidence, age }"),
    Key(name="not", kind="not", of="when", doc="none of these conditions may hold"),
)  # fmt: skip


def _of_accounts(where: str) -> tuple[Key, ...]:
    """What may be said of an account in a `header` that a proxy sets, or in a `claim`."""
    said = {
        "organisation": "who pays",
        "created_at": "when it signed up (Unix, ISO 8601)",
        "country": "the country declared at sign-up",
        "payment": "a digest of the means of payment",
        "programme": "edu, research, startup, …",
        "tier": "the tier",
        "verified": "true or false",
        "tags": "labels, separated by commas or spaces; in a claim perhaps a list",
    }
    kind = "header" if where == "header" else "text"
    return tuple(Key(name=name, kind=kind, doc=f"{where} with {doc}") for name, doc in said.items())


#: Section → its keys. `policy` is the document, `file` a test file; the others hang below them.
SCHEMA: Final[dict[str, tuple[Key, ...]]] = {
    "policy": (
        Key(name="version", kind="integer", low=1, high=1, required=True,
            doc="version of this language, 1"),
        Key(name="mode", kind="word", words=("enforce", "shadow"),
            doc="shadow decides and logs, and acts on nothing (default: shadow)"),
        Key(name="rollout", kind="percent", low=0.0001, high=1,
            doc="share of accounts, by hash, for whom `mode: enforce` acts (default: 100%)"),
        Key(name="default", kind="word", words=("allow", "deny"),
            doc="action when no rule matches (default: allow)"),
        Key(name="websocket", kind="word", words=DENY_OR_ALLOW,
            doc="WebSocket handshakes that no rule judged, or one that restricts (default: allow)"),
        Key(name="headers", kind="flag",
            doc="whether answers have rate-limit headers and the request id (default: true)"),
        Key(name="identify", kind="section", of="identify", doc="who is asking, from where"),
        Key(name="inspect", kind="section", of="inspect", doc="how bodies are read"),
        Key(name="on_error", kind="section", of="on_error", doc="when a dependency fails"),
        Key(name="overload", kind="section", of="overload",
            doc="when what is too much is told to come back (503)"),
        Key(name="verification", kind="section", of="verification",
            doc="how accounts meet a challenge"),
        Key(name="regions", kind="regions",
            doc="name → list of country codes, and of regions that stand above it"),
        Key(name="signals", kind="signals", doc="detector → weight and parameters"),
        Key(name="limits", kind="named", of="limit", doc="quotas; all that apply must have room"),
        Key(name="rules", kind="sections", of="rule", doc="judgements; first match wins"),
    ),
    "identify": (
        Key(name="account", kind="sections", of="account",
            doc="where accounts are recognised, in order; first hit wins"),
        Key(name="client_ip", kind="header",
            doc="peer, x-forwarded-for, forwarded, or a header holding one address"),
        Key(name="trusted_proxies", kind="networks",
            doc="whose forwarding headers are believed: networks; `unix` for a unix socket"),
        Key(name="tls_fingerprint", kind="section", of="tls_fingerprint",
            doc="JA4 handed over by a trusted edge"),
        Key(name="attributes", kind="section", of="attributes",
            doc="headers in which a trusted proxy says what it knows of the account"),
        Key(name="model_routes", kind="paths", doc="further paths that reach a model"),
    ),
    "attributes": _of_accounts("header"),
    "claims": _of_accounts("claim"),
    "account": (
        Key(name="header", kind="header", doc="a header; for authorization its Bearer token"),
        Key(name="jwt", kind="section", of="jwt", doc="a claim of a JSON Web Token"),
        Key(name="state", kind="text", doc='key in scope["state"]["gateway_guard"]'),
    ),
    "tls_fingerprint": (
        Key(name="header", kind="header", required=True, doc="header with the JA4, e.g. x-ja4"),
    ),
    "jwt": (
        Key(name="header", kind="header", doc="header with the token (default: authorization)"),
        Key(name="claim", kind="text", doc="claim that names the account (default: sub)"),
        Key(name="verify", kind="flag", doc="false only behind a proxy that has verified it"),
        Key(name="jwks", kind="text", doc="URL of the JSON Web Key Set"),
        Key(name="key", kind="text", doc="PEM public key, or shared secret for HS…"),
        Key(name="key_file", kind="text", doc="file with the key, relative to the policy"),
        Key(name="issuer", kind="text", doc="required `iss`"),
        Key(name="audience", kind="text", doc="required `aud`"),
        Key(name="prefix", kind="text", doc="put in front of the name, so that no other issuer's "
            "tokens give the same"),
        Key(name="attributes", kind="section", of="claims",
            doc="claims that say what is known of the account"),
        Key(name="algorithms", kind="words", words=(
            "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512",
            "EdDSA", "HS256", "HS384", "HS512"), doc="accepted algorithms"),
    ),
    "inspect": (
        Key(name="max_body", kind="size", low=1024, high=256 << 20,
            doc="most bytes of a body, on the wire and decoded (default: 8 MB)"),
        Key(name="default_output_tokens", kind="integer", low=1, high=10_000_000,
            doc="output tokens assumed when the client sets no cap (default: 1024)"),
        Key(name="keep_samples", kind="length", low=1, high=400,
            doc="text kept of templates that campaigns share, at most 256 of them and for 7 days "
            "(default: none)"),
    ),
    "on_error": (
        Key(name="store", kind="word", words=("deny", "allow", "local"),
            doc="limits cannot be counted; local: this worker's share of them, in memory"),
        Key(name="network", kind="word", words=("unknown",), doc="the fact becomes unknown"),
        Key(name="guard", kind="word", words=DENY_OR_ALLOW, doc="the guard itself fails"),
        Key(name="body", kind="word", words=DENY_OR_ALLOW, doc="a body cannot be read"),
        Key(name="path", kind="word", words=DENY_OR_ALLOW, doc="a path's spelling is ambiguous"),
    ),
    "overload": (
        Key(name="lag", kind="duration", low=0.001, high=60,
            doc="CPU that every turn of the event loop may take, one after the other, before some "
            "requests are turned away (default: 20 ms in the sidecar, none elsewhere)"),
        Key(name="upstream", kind="section", of="adaptive",
            doc="bound those who wait for their first token by how long they wait "
            "(default: not bounded)"),
    ),
    "adaptive": (
        Key(name="min", kind="integer", low=1, high=1_000_000,
            doc="so many may always wait, for each worker (default: 20)"),
        Key(name="max", kind="integer", low=1, high=1_000_000,
            doc="most that ever may, for each worker (default: 1000)"),
        Key(name="tolerance", kind="percent", low=1.05, high=10,
            doc="of the usual wait, what is none too long (default: 150%)"),
        Key(name="window", kind="duration", low=0.01, high=60,
            doc="time that is measured together (default: 1 second)"),
    ),
    "verification": (
        Key(name="url", kind="text", required=True,
            doc="what links begin with, as clients reach the guard: https://host/path"),
        Key(name="expires", kind="duration", low=60, high=86400,
            doc="how long a link can be used (default: 30 minutes)"),
        Key(name="lasts", kind="duration", low=60, high=YEAR,
            doc="how long an account stays verified (default: 30 days)"),
        Key(name="accounts", kind="integer", low=1, high=1000,
            doc="most accounts one subject may have verified at a time (default: 3)"),
        Key(name="form", kind="section", of="form", doc="the built-in page"),
        Key(name="provider", kind="section", of="provider",
            doc="somebody else's page, which calls back"),
        Key(name="openid", kind="section", of="openid", doc="a sign-in by OpenID Connect"),
    ),
    "openid": (
        Key(name="issuer", kind="text", required=True,
            doc="below it lies /.well-known/openid-configuration"),
        Key(name="client_id", kind="text", required=True, doc="what it calls this guard"),
        Key(name="secret_file", kind="text",
            doc="file with what it gave this guard, relative to the policy (default: none)"),
    ),
    "form": (
        Key(name="title", kind="text", doc="its heading (default: Verify your account)"),
        Key(name="intro", kind="text", doc="a paragraph below that"),
        Key(name="accept", kind="texts", doc="what must be agreed to, one box each"),
        Key(name="fields", kind="texts", doc="what is asked for in words; `check` reads it"),
        Key(name="codes_file", kind="text",
            doc="file with codes that are accepted, one a line, relative to the policy"),
        Key(name="check", kind="text",
            doc="an installed check with the last word: a gateway_guard.checks entry point"),
    ),
    "provider": (
        Key(name="url", kind="text", required=True, doc="where visitors are sent"),
        Key(name="key_file", kind="text", required=True,
            doc="file with the key that signs its callbacks, relative to the policy"),
    ),
    "limit": (
        Key(name="per", kind="words", required=True, words=(
            "account", "organisation", "client_ip", "subnet", "asn", "country", "model", "route",
            "campaign", "everyone"), doc="whose quota it is; several make a tuple"),
        Key(name="requests", kind="rate", doc="requests, e.g. 120/minute"),
        Key(name="tokens", kind="rate", doc="input and output tokens, e.g. 400000/minute"),
        Key(name="input_tokens", kind="rate", doc="tokens read"),
        Key(name="output_tokens", kind="rate", doc="tokens written"),
        Key(name="concurrent", kind="integer", low=1, high=1_000_000, doc="most in flight"),
        Key(name="burst", kind="integer", low=1, high=1e15,
            doc="most units outstanding at once (default: the rate's amount)"),
        Key(name="adapt", kind="section", of="adapt", doc="how risk and facts change the quota"),
        Key(name="when", kind="section", of="when", doc="charged only where all of these hold"),
        Key(name="mode", kind="word", words=("enforce", "shadow"),
            doc="shadow rehearses the limit: it counts, and refuses nothing"),
        Key(name="rollout", kind="percent", low=0.0001, high=1,
            doc="share of accounts, by hash, for whom it is in force; it rehearses for the others"),
    ),
    "adapt": (
        Key(name="risk", kind="table", doc="risk from which → share of the quota"),
        Key(name="region", kind="table", doc="region, country or unknown → share"),
        Key(name="age", kind="table", doc="account younger than → share"),
        Key(name="unknown_age", kind="percent", low=0.0001, high=1,
            doc="share when nobody knows the account's age (default: 100%)"),
        Key(name="tier", kind="table", doc="tier → share, may exceed 100%"),
        Key(name="recover", kind="duration", low=1, high=30 * 86400,
            doc="time in which the highest risk seen is forgotten, linearly"),
    ),
    "rule": (
        Key(name="name", kind="text", required=True, doc="kebab-case, unique"),
        Key(name="why", kind="text", doc="for the decision log; never sent to the client"),
        Key(name="when", kind="section", of="when", doc="all keys must match; absent: everything"),
        Key(name="then", kind="word", words=ACTIONS, required=True, doc="the action"),
        Key(name="status", kind="integer", low=400, high=599, doc="HTTP status of the refusal"),
        Key(name="with", kind="section", of="with", doc="what `restrict` takes away"),
        Key(name="mode", kind="word", words=("enforce", "shadow"), doc="shadow rehearses the rule"),
        Key(name="rollout", kind="percent", low=0.0001, high=1,
            doc="share of accounts, by hash, for whom it acts; it rehearses for the others"),
        Key(name="tarpit", kind="duration", low=0.01, high=30, doc="hold the refusal this long"),
        Key(name="url", kind="text", doc="where to verify, for `challenge`"),
        Key(name="retry_after", kind="duration", low=1, high=30 * 86400,
            doc="when to come back, for `throttle`"),
    ),
    "with": (
        Key(name="max_output_tokens", kind="integer", low=1, high=10_000_000,
            doc="upper bound put on the output cap"),
        Key(name="logprobs", kind="flag", doc="false: no token probabilities"),
        Key(name="n", kind="integer", low=1, high=1000, doc="upper bound on completions"),
        Key(name="chat_cap", kind="word", words=CHAT,
            doc="where the cap stands in a chat that sets none (default: max_tokens)"),
    ),
    "when": _WHEN,
    "band": (
        Key(name="min", kind="number", doc="from here, inclusive"),
        Key(name="max", kind="number", doc="up to here, exclusive"),
    ),
    "indicator": (
        Key(name="source", kind="texts", doc="who said so, as named at `intel import --as`"),
        Key(name="kind", kind="words", words=INDICATOR_KINDS, doc="what it names"),
        Key(name="name", kind="texts", doc="what its source calls it, e.g. a campaign"),
        Key(name="confidence", kind="bands", low=0, high=1,
            doc="{ min, max } of how sure its source is"),
        Key(name="age", kind="ages", doc="{ min, max } of the time since when it holds"),
    ),
    "signal": (
        Key(name="weight", kind="number", low=0, high=1, required=True,
            doc="how much the policy believes the detector"),
    ),
    "file": (
        Key(name="policy", kind="text", required=True, doc="policy under test, beside this file"),
        Key(name="cases", kind="sections", of="case", required=True, doc="the cases"),
    ),
    "case": (
        Key(name="it", kind="text", required=True, doc="the fact the case states"),
        Key(name="given", kind="section", of="given", doc="what the request and the facts are"),
        Key(name="expect", kind="section", of="expect", required=True, doc="what must come of it"),
    ),
    "given": (
        Key(name="country", kind="text", doc="country code or unknown"),
        Key(name="account_country", kind="text", doc="country code or unknown"),
        Key(name="network", kind="words", words=NETWORK_FLAGS, doc="flags, or unknown"),
        Key(name="asn", kind="integer", low=0, high=2**32 - 1, doc="autonomous system number"),
        Key(name="client_ip", kind="text", doc="an address, or unknown"),
        Key(name="path", kind="text", doc="canonical path, or unknown"),
        Key(name="method", kind="word", words=METHODS, doc="HTTP method, or WEBSOCKET"),
        Key(name="model", kind="text", doc="model, or unknown"),
        Key(name="dialect", kind="word", words=tuple(d.value for d in Dialect), doc="whose API"),
        Key(name="model_route", kind="flag",
            doc="whether the path reaches a model (default: what the path says)"),
        Key(name="body", kind="word", words=tuple(i.value for i in Inspection),
            doc="how much of it was read (default: full on model routes, else none)"),
        Key(name="stream", kind="flag", doc="whether a stream was asked for"),
        Key(name="account", kind="text", doc="digest acct_…, known or unknown"),
        Key(name="authenticated", kind="flag", doc="false: the credential failed verification"),
        Key(name="organisation", kind="text", doc="who pays"),
        Key(name="account_tag", kind="texts", doc="labels"),
        Key(name="account_age", kind="duration", doc="time since sign-up, or unknown"),
        Key(name="tier", kind="text", doc="the account's tier"),
        Key(name="verified", kind="flag", doc="whether somebody checked"),
        Key(name="programme", kind="text", doc="programme"),
        Key(name="risk", kind="number", low=0, high=1, doc="the risk; else from `signal`"),
        Key(name="held_risk", kind="number", low=0, high=1, doc="highest risk seen just now"),
        Key(name="signal", kind="scores", low=0, high=1, doc="name → score"),
        Key(name="campaign", kind="number", low=0, high=1, doc="confidence of membership"),
        Key(name="standing", kind="word", words=("banned", "challenged", "vouched"),
            doc="what became of the account (vouched: it met a challenge, or a person vouched)"),
        Key(name="rolled_out", kind="flag",
            doc="whether each `rollout` acts on the account (default: its hash decides)"),
        Key(name="prompt", kind="texts", doc="what the prompt says"),
        Key(name="input_tokens", kind="integer", low=0, high=1e9, doc="estimated input tokens"),
        Key(name="max_output_tokens", kind="integer", low=1, high=1e9, doc="cap asked for"),
        Key(name="indicator", kind="given_indicators", of="given_indicator",
            doc="matching indicators: names, or { source, kind, name, confidence, age }"),
    ),
    "given_indicator": (
        Key(name="source", kind="text", doc="who said so (default: a source)"),
        Key(name="kind", kind="word", words=INDICATOR_KINDS,
            doc="what it names (default: network)"),
        Key(name="name", kind="text", doc="what its source calls it (default: an indicator)"),
        Key(name="confidence", kind="number", low=0, high=1, doc="how sure it is (default: 1)"),
        Key(name="age", kind="duration", doc="time since when it holds (default: 0 seconds)"),
    ),
    "expect": (
        Key(name="action", kind="word", words=ACTIONS, doc="the action"),
        Key(name="rule", kind="text", doc="the rule that matched, or `default`"),
        Key(name="status", kind="integer", low=200, high=599, doc="status of the refusal"),
        Key(name="acted", kind="flag", doc="whether the action is carried out"),
        Key(name="shadow", kind="texts", doc="rules that matched in rehearsal, in order"),
        Key(name="limits", kind="quotas",
            doc="limit → quota it has here, e.g. tokens: 80000; none: not charged"),
    ),
}  # fmt: skip

#: A quota that a case expects: as policies write it, times the shares that apply.
EXPECTED_QUOTA: Final = Key(
    name="quota", kind="number", low=0.0001, high=1e15, doc="the quota in its window"
)

#: Keys of `given` that cannot be `unknown`.
ALWAYS_KNOWN: Final = frozenset((
    "method", "dialect", "model_route", "body", "stream", "authenticated", "risk", "standing",
    "rolled_out", "input_tokens",
))  # fmt: skip

#: Section → name → key.
KEYS: Final = {section: {key.name: key for key in keys} for section, keys in SCHEMA.items()}
