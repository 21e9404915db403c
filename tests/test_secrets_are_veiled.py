"""What holds a secret does not show it where it is quoted: in traces of errors, on consoles.

By name: a record with a member called a secret, a token, a password, … has to be `Veiled` and veil
it, unless it stands below with the reason why it may be read.
"""

from __future__ import annotations

import ast
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console
from rich.pretty import Pretty

from gateway_guard.core.credentials import Credential
from gateway_guard.core.sections import AccountSource, OpenId, Provider
from gateway_guard.settings import Settings
from gateway_guard.stores.connect import parse_address
from tests import build

PACKAGE = Path(__file__).resolve().parent.parent / "gateway_guard"
in_a_checkout = pytest.mark.skipif(
    not PACKAGE.is_dir(), reason="about the source tree, which is not here"
)
CANARY = "cnr-7Qx2Vb9Lm4Tz8Ww"

SECRET = re.compile(r"(^|_)(secret|password|token|key)$")

#: file: class.member → why it may be read.
HARMLESS = {
    "core/sections.py: AccountSource.state_key": "a name in the application's state",
    "frontends/dashboard/shell.py: Reader.token": "stands in the page that the reader gets",
    "intel/bundle.py: _Envelope.key": "the name of a public key",
    "intel/table.py: Source.key": "the name of a public key",
    "stores/bucket.py: Bucket.key": "what is charged, a digest",
    "stores/layout.py: Place.key": "what is charged, a digest",
    "streams/wire.py: Beat.key": "a fingerprint of the secret",
    "streams/wire.py: _Head.key": "a fingerprint of the secret",
    "types/quota.py: Charge.key": "what is charged, a digest",
}


def shown() -> Iterator[str]:
    """`file: class.member` of every text and all bytes of a record that are not veiled."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.ClassDef):
                continue
            bases = {ast.unparse(base) for base in node.bases}
            if not bases & {"Veiled", "msgspec.Struct", "Struct", "NamedTuple"}:
                continue
            hidden: set[str] = set()
            for line in node.body:
                if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "veiled":
                    hidden = set(re.findall(r"'(\w+)'", ast.unparse(line.value)))
            for line in node.body:
                if isinstance(line, ast.AnnAssign) and re.search(
                    r"\b(str|bytes)\b", ast.unparse(line.annotation)
                ):
                    name = ast.unparse(line.target)
                    if not ("Veiled" in bases and name in hidden):
                        yield f"{path.relative_to(PACKAGE).as_posix()}: {node.name}.{name}"


def unveiled() -> set[str]:
    return {one for one in shown() if SECRET.search(one.rpartition(".")[2])}


@in_a_checkout
def test_no_record_shows_what_is_called_a_secret() -> None:
    assert unveiled() - HARMLESS.keys() == set()


@in_a_checkout
def test_what_is_excused_is_still_there() -> None:
    assert HARMLESS.keys() - unveiled() == set()


def holding() -> Iterator[Any]:
    """Records that hold the canary wherever a secret belongs."""
    yield Settings(
        secret=CANARY.encode(), store=f"redis://guard:{CANARY}@127.0.0.1", accounts_token=CANARY,
        intel_group_key=CANARY.encode(), admin_token=CANARY, admin_read_token=CANARY,
    )  # fmt: skip
    yield AccountSource(kind="jwt", key=CANARY)
    yield OpenId(issuer="https://login.test", client_id="guard", secret=CANARY)
    yield Provider(url="https://verify.test", key=CANARY.encode())
    yield Credential(CANARY.encode(), "bearer")
    yield parse_address(f"redis+sentinel://a:{CANARY}@h/m?sentinel_password={CANARY}")
    yield msgspec.structs.replace(
        build.wire(headers={"authorization": f"Bearer {CANARY}"}),
        body=CANARY.encode(), query=CANARY.encode(), state={"account": CANARY},
    )  # fmt: skip


@pytest.mark.parametrize("record", list(holding()), ids=lambda record: type(record).__name__)
def test_a_record_that_is_quoted_says_that_there_is_a_secret_and_not_which(record: Any) -> None:
    pretty = io.StringIO()
    Console(file=pretty, width=200).print(Pretty([record]))

    assert CANARY not in repr([record]) + str(record) + pretty.getvalue()
    assert record.__struct_fields__[0] in pretty.getvalue()


def test_what_is_not_there_is_said_not_to_be() -> None:
    assert "secret=None" in repr(OpenId(issuer="https://login.test", client_id="guard"))
