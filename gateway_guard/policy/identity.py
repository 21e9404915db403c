"""`identify:` and `inspect:` → what `core.identify` needs."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from yaml.nodes import Node, SequenceNode

from gateway_guard.core.sections import DEFAULT_ACCOUNT_SOURCES, AccountSource, Identify
from gateway_guard.policy.judgement import check_url
from gateway_guard.policy.locations import networks_of, path_patterns
from gateway_guard.policy.reader import Findings
from gateway_guard.policy.schema import KEYS, SCHEMA
from gateway_guard.policy.values import Section, items, word

#: What may be said of an account, as `AccountFacts` has it.
FIELDS: Final = tuple(key.name for key in SCHEMA["attributes"])
_MAX_KEY: Final = 64 * 1024
#: In `trusted_proxies`: whoever connects over a unix socket, where no peer has an address.
UNIX: Final = "unix"


def compile_identify(found: Findings, section: Section | None) -> Identify:
    """The compiled section; the defaults when it is absent."""
    if section is None:
        return Identify()
    accounts: tuple[AccountSource, ...] = DEFAULT_ACCOUNT_SOURCES
    believed = section.get("trusted_proxies") is not None
    node = section.get("account")
    if node is not None:
        entries = node.value if isinstance(node, SequenceNode) else [node]
        errors = found.errors
        sources = [_source(found, entry, believed) for entry in entries]
        accounts = tuple(source for source in sources if source is not None)
        if found.errors == errors:
            _namesakes(found, entries, sources)
    trusted_node = section.get("trusted_proxies")
    trusted_items = items(found, trusted_node) if trusted_node is not None else []
    sockets = [item for item in trusted_items if item.value == UNIX]
    trusted = networks_of(found, [item for item in trusted_items if item.value != UNIX])
    for item in trusted_items:
        if _vast(item.value):
            found.at(
                "GG603",
                item,
                f"'{item.value}' trusts "
                + ("every client" if item.value.endswith("/0") else "a large part of the Internet"),
                hint="name the networks of your proxies, e.g. 10.0.0.0/8",
            )
    client_ip = section.read("client_ip")
    if client_ip not in (None, "peer") and trusted_node is None:
        found.at(
            "GG602",
            section.fields["client_ip"][1],
            f"'{client_ip}' is believed from nobody: `trusted_proxies` is missing",
            hint="trusted_proxies: [10.0.0.0/8]   # the networks of your proxies",
        )
    tls = section.section("tls_fingerprint")
    routes = section.get("model_routes")
    return Identify(
        accounts=accounts,
        client_ip=client_ip or ("x-forwarded-for" if trusted or sockets else "peer"),
        trusted=tuple(trusted),
        trust_unix=bool(sockets),
        tls_header=tls.read("header") if tls is not None else None,
        attributes=_attributes(found, section.section("attributes"), believed),
        model_routes=tuple(path_patterns(found, items(found, routes)))
        if routes is not None
        else (),
    )


def _attributes(
    found: Findings, section: Section | None, believed: bool
) -> tuple[tuple[str, bytes], ...]:
    """(field, header) of what a trusted proxy says of accounts."""
    if section is None:
        return ()
    if not believed:
        found.at(
            "GG602",
            section.node,
            "`attributes` are believed from nobody: `trusted_proxies` is missing",
            hint="trusted_proxies: [10.0.0.0/8]   # the networks of your proxies",
        )
    named: list[tuple[str, bytes]] = []
    for name in FIELDS:
        header = section.read(name)
        if header is None:
            continue
        _not_ours(section, name, header)
        named.append((name, header.encode()))
    return tuple(named)


def _claims(section: Section | None) -> tuple[tuple[str, str], ...]:
    """(field, claim) of what a token says of its account."""
    if section is None:
        return ()
    named = [(name, section.read(name)) for name in FIELDS]
    return tuple((name, claim) for name, claim in named if claim is not None)


def _not_ours(section: Section, key: str, header: str) -> None:
    if header.startswith("x-guard-"):
        section.found.at(
            "GG220",
            section.fields[key][1],
            f"'{header}' is the guard's own: clients are not believed in it",
            hint="name the header your clients send, e.g. authorization"
            if key == "header"
            else "name another header for your proxy to set",
        )
    elif header == "cookie" and key == "header":
        section.found.at(
            "GG220",
            section.fields[key][1],
            "'cookie' holds every cookie of a client: one more of them would be another account",
            hint="have a proxy or the application put the session alone into a header, or into "
            "the application's state",
        )


def _vast(text: str) -> bool:
    """Whether a public network is too large to be anybody's own: wider than /8, in IPv6 /16."""
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return network.prefixlen < (8 if network.version == 4 else 16) and not network.is_private


def _source(found: Findings, node: Node, believed: bool) -> AccountSource | None:
    section = Section(found, node, "account")
    if len(section.fields) != 1:
        if section.fields or section.node.value:
            found.at(
                "GG204",
                node,
                "one of header, jwt or state per entry was expected",
                hint="account: [{ header: authorization }, { state: account }]",
            )
        else:
            found.at("GG206", node, "an empty entry", hint="account: { header: authorization }")
        return None
    if "header" in section:
        header = section.read("header")
        if header:
            _not_ours(section, "header", header)
        return AccountSource(kind="header", header=header) if header else None
    if "state" in section:
        key = section.read("state")
        return AccountSource(kind="state", state_key=key) if key else None
    jwt = section.section("jwt")
    return _jwt(found, jwt, believed) if jwt is not None else None


def _namesakes(
    found: Findings, entries: Sequence[Node], sources: Sequence[AccountSource | None]
) -> None:
    """Say where the tokens of two issuers can name the same account."""
    tokens = [
        (source, entry)
        for source, entry in zip(sources, entries, strict=True)
        if source is not None and source.kind == "jwt"
    ]
    for number, (source, entry) in enumerate(tokens):
        for earlier, _ in tokens[:number]:
            one_issuer = source.issuer is not None and source.issuer == earlier.issuer
            one_key = (source.key, source.jwks) == (earlier.key, earlier.jwks)
            if source.prefix == earlier.prefix and not one_issuer and not one_key:
                found.at(
                    "GG606",
                    entry,
                    "one name in the tokens of two issuers is one account",
                    hint='prefix: "staff:"   # in front of the names of one; or say `issuer` of '
                    "both where it is one",
                )
                return


def _jwt(found: Findings, jwt: Section, believed: bool) -> AccountSource | None:
    verify = jwt.read("verify")
    sources = [key for key in ("jwks", "key", "key_file") if key in jwt]
    place = jwt.node
    if verify is False and sources:
        found.at(
            "GG601",
            jwt.place("verify"),
            f"`verify: false` beside `{sources[0]}`",
            hint="leave out one of them",
        )
    elif verify is not False and len(sources) != 1:
        what = f"{' and '.join(sources)} together" if sources else "nothing to verify with"
        found.at(
            "GG601",
            place,
            f"the token has {what}",
            hint="exactly one of jwks, key, key_file; or `verify: false` behind a proxy that "
            "has verified it",
        )
    elif verify is False and not believed:
        found.at(
            "GG605",
            jwt.place("verify"),
            "tokens that nobody here verifies are believed from everybody",
            hint="trusted_proxies: [10.0.0.0/8]   # the networks of the proxies that verify them",
        )
    header = jwt.read("header")
    if header:
        _not_ours(jwt, "header", header)
    jwks = jwt.read("jwks")
    if jwks is not None:
        check_url(jwt, "jwks", jwks, plain_http=True)
    key = jwt.read("key")
    if "key" in jwt:
        found.veil(jwt.fields["key"][1])
    if "key_file" in jwt:
        key = _key_file(found, jwt)
    algorithms = _algorithms(found, jwt, key, jwks is not None)
    if key is not None:
        _check_key(found, jwt, key, algorithms)
    return AccountSource(
        kind="jwt",
        header=header or "authorization",
        claim=jwt.read("claim") or "sub",
        verify=verify is not False,
        key=key,
        jwks=jwks,
        issuer=jwt.read("issuer"),
        audience=jwt.read("audience"),
        prefix=jwt.read("prefix") or "",
        attributes=_claims(jwt.section("attributes")),
        algorithms=algorithms,
    )


def _algorithms(found: Findings, jwt: Section, key: str | None, jwks: bool) -> tuple[str, ...]:
    node = jwt.get("algorithms")
    if node is None:
        if key is not None and "-----BEGIN" not in key:
            return ("HS256",)
        return AccountSource(kind="jwt").algorithms
    good: list[str] = []
    for item in items(found, node):
        if item.value.lower() == "none":
            found.at(
                "GG601",
                item,
                "'none' accepts tokens anybody can write",
                hint="name the algorithms of your issuer, e.g. RS256",
            )
            continue
        name = word(found, item, KEYS["jwt"]["algorithms"].words, "algorithm")
        if name is not None and name.startswith("HS") and jwks:
            found.at(
                "GG601",
                item,
                f"'{name}' with a key set everybody can read",
                hint="key sets hold public keys: RS…, PS…, ES… or EdDSA",
            )
        good += [name] if name else []
    return tuple(good)


def _check_key(found: Findings, jwt: Section, key: str, algorithms: tuple[str, ...]) -> None:
    place = jwt.fields["key" if "key" in jwt else "key_file"][0]
    pem = "-----BEGIN" in key
    if "PRIVATE KEY-----" in key:
        found.at(
            "GG601",
            place,
            "a private key",
            hint="only the public key is needed; replace this key, it may have been read",
        )
    elif pem and any(name.startswith("HS") for name in algorithms):
        found.at(
            "GG601",
            place,
            "a public key used as a shared secret",
            hint="with HS… algorithms anybody who has the public key can sign",
        )
    elif not pem and any(not name.startswith("HS") for name in algorithms):
        found.at(
            "GG601",
            place,
            "not a PEM public key, which these algorithms need",
            hint="-----BEGIN PUBLIC KEY----- …; a shared secret needs algorithms: [HS256]",
        )
    elif not pem and len(key.encode()) < 32:
        found.at(
            "GG601",
            place,
            "the shared secret is shorter than 32 bytes",
            hint="RFC 7518, section 3.2: at least as long as the hash, e.g. 32 random bytes",
        )


def _key_file(found: Findings, jwt: Section) -> str | None:
    value: str | None = jwt.read("key_file")
    if value is None:
        return None
    path = Path(os.path.dirname(found.name)) / value  # noqa: PTH120 - a name, perhaps no path
    try:
        if path.stat().st_size > _MAX_KEY:
            raise ValueError("it is larger than 64 KB")
        return path.read_bytes().decode("ascii").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no key"
        found.at(
            "GG601",
            jwt.fields["key_file"][1],
            f"'{value[:80]}' cannot be read: {reason}",
            hint="a PEM or secret file, relative to the policy",
        )
        return None
