"""The policy's `verification` section: how accounts meet a challenge."""

from __future__ import annotations

import codecs
import os
import re
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

from yaml.nodes import Node

from gateway_guard.core.callbacks import SHORTEST_KEY, key_of
from gateway_guard.core.codes import SHORTEST_CODE, code_digest, plain_code
from gateway_guard.core.sections import Form, OpenId, Provider, Verification
from gateway_guard.policy.judgement import Read
from gateway_guard.policy.reader import Findings
from gateway_guard.policy.values import Section, items, text
from gateway_guard.types import Action

WAYS: Final = ("form", "provider", "openid")
_LARGEST: Final = 16 * 1024 * 1024
_MOST_ITEMS: Final = 20
_LONGEST: Final = 2_000
_PATH: Final = re.compile(r"(?:/[A-Za-z0-9._~-]+)+", re.ASCII)
_LOOPBACK: Final = frozenset(("127.0.0.1", "::1", "localhost"))


def check_challenges(found: Findings, rules: list[Read]) -> None:
    """Challenges of a policy without a `verification` section: do they name a place to verify?

    All are one finding, at the first: one section is the remedy for all.
    """
    nowhere = [
        read
        for read in rules
        if (rule := read.rule) is not None
        and rule.action is Action.CHALLENGE
        and rule.challenge_url is None
        and not rule.shadow
    ]
    if nowhere:
        names = " and ".join(f"'{read.name}'" for read in nowhere[:2])
        more = f" and {len(nowhere) - 2} more" if len(nowhere) > 2 else ""
        found.at(
            "GG310",
            nowhere[0].node,
            f"{names}{more}: the refusal names no place to verify",
            hint="add a `verification:` section, or `url:` to the rule",
        )


def compile_verification(found: Findings, section: Section | None) -> Verification | None:
    """The compiled section; None when there is none, or it is faulty."""
    if section is None:
        return None
    standard = Verification(url="", path="")
    url = _public(found, section)
    expires = section.read("expires") or standard.expires
    lasts = section.read("lasts") or standard.lasts
    accounts = section.read("accounts") or standard.accounts
    ways = [way for way in WAYS if way in section]
    if len(ways) != 1:
        found.at(
            "GG604",
            section.node,
            f"{' and '.join(f'`{way}`' for way in ways) or 'nothing'} to check visitors with",
            hint="one of form: { accept: [I am a person] } (the built-in page), provider: { url: "
            "…, key_file: … } (yours), openid: { issuer: …, client_id: … } (a sign-in)",
        )
        return None
    form = provider = openid = None
    if (asked := section.section("form")) is not None:
        form = _form(found, asked)
    elif (sent := section.section("provider")) is not None:
        provider = _provider(found, sent)
    elif (signed_in := section.section("openid")) is not None:
        openid = _openid(found, signed_in)
    if url is None or (form is None and provider is None and openid is None):
        return None
    return Verification(
        url=url.geturl().rstrip("/"),
        path=url.path.rstrip("/"),
        expires=expires,
        lasts=lasts,
        accounts=accounts,
        form=form,
        provider=provider,
        openid=openid,
    )


def _public(found: Findings, section: Section) -> SplitResult | None:
    url = _url(found, section, "url")
    if url is None:
        return None
    place = section.fields["url"][1]
    if url.query or _PATH.fullmatch(url.path.rstrip("/")) is None:
        found.at(
            "GG604",
            place,
            "links need a path of their own, of letters, digits and . _ ~ -, and no query",
            hint=f"{url.scheme}://{url.netloc}/verify; the guard answers everything below it",
        )
        return None
    return url


def _url(found: Findings, section: Section, key: str) -> SplitResult | None:
    """An absolute URL that a visitor may safely be sent to."""
    value: str | None = section.read(key)
    if value is None:
        return None
    place = section.fields[key][1]
    try:
        url = urlsplit(value)
        host = url.hostname
        url.port  # noqa: B018 - read for what it raises
    except ValueError:
        url, host = urlsplit(""), None
    if not host or url.scheme not in ("http", "https") or not value.isascii():
        found.at("GG604", place, f"'{value[:80]}' is no URL of a page", hint="https://host/path")
    elif url.username is not None or url.fragment or not value.isprintable() or " " in value:
        found.at(
            "GG604", place, "the URL names a user, has a fragment or holds a space",
            hint=f"{url.scheme}://{host}{url.path}",
        )  # fmt: skip
    elif url.scheme == "http" and host not in _LOOPBACK:
        found.at(
            "GG604",
            place,
            "links over plain http can be read and used by others",
            hint=f"https://{url.netloc}{url.path}",
        )
    else:
        return url
    return None


def _form(found: Findings, section: Section) -> Form | None:
    accept, fields = _lines(found, section, "accept"), _lines(found, section, "fields")
    check = section.read("check")
    codes = _codes(found, section)
    if "codes_file" in section and codes is None:
        return None
    if not (accept or fields or codes is not None or check):
        found.at(
            "GG604",
            section.node,
            "a form that asks for nothing",
            hint="accept: [...], codes_file: codes.txt or check: NAME",
        )
        return None
    if fields and check is None:
        found.at(
            "GG604",
            section.fields["fields"][0],
            "nobody reads these fields",
            hint="name the installed `check` that does, or leave them out",
        )
        return None
    standard = Form()
    return Form(
        title=(section.read("title") or standard.title)[:_LONGEST],
        intro=(section.read("intro") or "")[:_LONGEST],
        accept=accept,
        fields=fields,
        codes=codes,
        check=check,
    )


def _lines(found: Findings, section: Section, key: str) -> tuple[str, ...]:
    node = section.get(key)
    if node is None:
        return ()
    nodes = items(found, node)
    if len(nodes) > _MOST_ITEMS:
        found.at("GG604", node, f"{len(nodes)} of `{key}`: more than {_MOST_ITEMS}")
    return tuple(value[:_LONGEST] for item in nodes if (value := text(found, item)) is not None)


def _codes(found: Findings, section: Section) -> frozenset[str] | None:
    data = _file(found, section, "codes_file")
    if data is None:
        return None
    codes = set()
    node = section.fields["codes_file"][1]
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        code = plain_code(line)
        if len(code) < SHORTEST_CODE:
            # Not quoted: it is a secret.
            found.at(
                "GG604",
                node,
                f"line {number} of the file is shorter than {SHORTEST_CODE} letters and digits",
                hint="short codes can be guessed: `openssl rand -hex 8` makes a good one",
            )
            return None
        codes.add(code_digest(code))
    if not codes:
        found.at("GG604", node, "the file holds no code", hint="one code a line")
        return None
    return frozenset(codes)


def _provider(found: Findings, section: Section) -> Provider | None:
    url = _url(found, section, "url")
    data = _file(found, section, "key_file")
    if url is None or data is None:
        return None
    key = key_of(data)
    if key is None:
        found.at(
            "GG604",
            section.fields["key_file"][1],
            f"the file holds no key of at least {SHORTEST_KEY} bytes",
            hint="as providers show them, whsec_…, or any text: `openssl rand -hex 32`",
        )
        return None
    return Provider(url=url.geturl(), key=key)


def _openid(found: Findings, section: Section) -> OpenId | None:
    issuer = _url(found, section, "issuer")
    client_id = section.read("client_id")
    secret = _file(found, section, "secret_file")
    if issuer is None or client_id is None or ("secret_file" in section and secret is None):
        return None
    text = None if secret is None else secret.decode("utf-8", "replace").strip()
    # As it is written: tokens must name it letter by letter.
    return OpenId(issuer=section.read("issuer"), client_id=client_id, secret=text or None)


def _file(found: Findings, section: Section, key: str) -> bytes | None:
    value: str | None = section.read(key)
    if value is None:
        return None
    node: Node = section.fields[key][1]
    path = Path(os.path.dirname(found.name)) / value  # noqa: PTH120 - a name, perhaps no path
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError(f"it is larger than {_LARGEST >> 20} MB")
        return path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        found.at(
            "GG604", node, f"'{value[:80]}' cannot be read: {reason}",
            hint="a file, relative to the policy",
        )  # fmt: skip
        return None
