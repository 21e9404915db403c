"""Whatever proves that somebody knows a secret is compared in constant time, and nowhere else.

By name: a comparison with `==` or `!=` of something called a token, a MAC, a digest, … is refused
unless it stands below with the reason why its time tells nobody anything.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "gateway_guard"
in_a_checkout = pytest.mark.skipif(
    not PACKAGE.is_dir(), reason="about the source tree, which is not here"
)

SECRET = re.compile(
    r"(^|_)(token|mac|hmac|sig|signature|digest|secret|password|passphrase|nonce|seal|tag|"
    r"check|cookie|credential|hash|proof|fingerprint)$"
)

#: file: comparison → why it tells nobody anything.
HARMLESS = {
    "cli/decision.py: policy.digest == decision.policy":
        "of the policy file, shown in every decision",
    "core/account.py: plain != read.token": "both were sent by the same client",
    "core/profile.py: sketch[where] == tag": "a part of a keyed digest of text, no proof",
    "core/profile.py: tags[slot] != tag": "a part of a keyed digest of text, no proof",
    "frontends/dashboard/sources.py: decision.policy == policy.digest":
        "of the policy file, shown in every decision",
    "intel/bundle.py: digest == before.digest": "a signed bundle was verified before; no secret",
    "network/update.py: state.url == _url_digest(feed)": "names a file of the operator's own",
    "policy/source.py: digest == self._seen": "of the policy file, shown in every decision",
    "policy/source.py: digest != self._digest": "of the policy file, shown in every decision",
    "settings.py: said != secret": "both are this process's own, at its start",
    "record/chain.py: entry.prev != at.mac": "of a file on this machine, checked by its reader",
    "record/chain.py: head.mac != at.mac": "of a file on this machine, checked by its reader",
    "record/reviews.py: hashlib.blake2b(start, digest_size=16).digest() == known.digest":
        "whether a file of the operator's own grew or was replaced",
}  # fmt: skip


def compared(tree: ast.AST) -> Iterator[ast.Compare]:
    """Comparisons for equality in which something is named like a proof of a secret, but for those
    with a literal or a constant."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            equal = any(isinstance(one, ast.Eq | ast.NotEq) for one in node.ops)
            literal = any(
                isinstance(side, ast.Constant | ast.Tuple | ast.List) or name_of(side).isupper()
                for side in sides
            )
            if equal and not literal and any(SECRET.search(name_of(side)) for side in sides):
                yield node


def name_of(value: ast.expr) -> str:
    """What a value is called: the last word of a name, an attribute or a function."""
    match value:
        case ast.Name():
            return value.id
        case ast.Attribute():
            return value.attr
        case ast.Call():
            return name_of(value.func)
        case ast.Subscript(slice=ast.Constant(value=str() as key)):
            return key
        case ast.Subscript() | ast.Starred() | ast.Await():
            return name_of(value.value)
    return ""


def everywhere() -> set[str]:
    found = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in compared(ast.parse(path.read_text("utf-8"))):
            found.add(f"{path.relative_to(PACKAGE).as_posix()}: {ast.unparse(node)}")
    return found


@in_a_checkout
def test_no_proof_of_a_secret_is_compared_byte_by_byte() -> None:
    assert everywhere() - HARMLESS.keys() == set()


@in_a_checkout
def test_what_is_excused_is_still_there() -> None:
    assert HARMLESS.keys() - everywhere() == set()


@pytest.mark.parametrize(
    "line",
    [
        "given == self._token", "mac(body) != wanted", "headers['signature'] == expected",
        "request.admin_token == token", "a < b == session.nonce", "hexdigest != hmac.digest()",
    ],
)  # fmt: skip
def test_a_comparison_of_a_secret_is_noticed(line: str) -> None:
    assert list(compared(ast.parse(line)))


@pytest.mark.parametrize(
    "line",
    ["hmac.compare_digest(mac, wanted)", "token == ''", "len(token) == size", "model == other",
     "token is None", "kind == ('mark', '[')"],
)  # fmt: skip
def test_a_comparison_of_something_else_is_not(line: str) -> None:
    assert not list(compared(ast.parse(line)))
