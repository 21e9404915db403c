"""What the README shows can be pasted and used."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway_guard.accounts.attributes import FIELDS
from gateway_guard.accounts.file import FileDirectory
from gateway_guard.core.credentials import digest, name_digest
from gateway_guard.policy.compile import check_policy
from gateway_guard.types import AccountFacts
from tests.build import SECRET

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")
#: In the first line of the accounts file shown.
FIRST = "acct_t5egf45fv26luqga"


def blocks(language: str) -> list[str]:
    """Everything that is shown in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def parts(policy: str) -> dict[str, str]:
    """Key of the top level → its lines."""
    split = re.split(r"^([a-z_]+):", policy, flags=re.MULTILINE)[1:]
    return {key: f"{key}:{lines}" for key, lines in zip(split[::2], split[1::2], strict=True)}


def test_the_explanation_shown_first_names_the_line_of_its_rule() -> None:
    (rule, place), *_ = re.findall(r"^├ decide +(\S+) +(\S+:\d+) ", README, re.MULTILINE)
    path, _, line = place.partition(":")

    assert f"- name: {rule}" in (ROOT / path).read_text("utf-8").splitlines()[int(line) - 1]


POLICIES = [block for block in blocks("yaml") if not block.startswith("policy:")]


#: Each by itself, and all: what is shown first stands.
@pytest.mark.parametrize("shown", [*([block] for block in POLICIES), POLICIES[::-1]])
def test_policies_shown_can_be_pasted_into_the_smallest_one(
    shown: list[str], tmp_path: Path
) -> None:
    pasted = parts((ROOT / "policies" / "minimal.yaml").read_text("utf-8"))
    for block in shown:
        pasted |= parts(block)
    (tmp_path / "codes.txt").write_text("a-code-that-was-handed-out\n")
    text = "".join(pasted.values())

    _, found = check_policy(text.encode(), str(tmp_path / "policy.yaml"))

    assert [str(one) for one in found] == []


def test_policies_are_shown_of_every_kind() -> None:
    keys = {key for block in POLICIES for key in parts(block)}

    assert keys >= {"signals", "limits", "rules", "identify", "verification", "overload"}


def test_the_accounts_shown_are_read_as_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (block,) = blocks("csv")
    path = tmp_path / "accounts.csv"
    path.write_text(block)

    accounts = FileDirectory(path, secret=SECRET)

    key, name = b"sk-the-key-as-it-is-sent", b"team-7"
    assert accounts.lookup(FIRST, None) == AccountFacts(
        organisation="o_17", created_at=1_769_850_767.0, country="NO", payment="p_204",
        tier="scale", verified=True, tags=("partner", "beta"),
    )  # fmt: skip
    assert accounts.lookup(digest(SECRET, key), None).programme == "edu"
    assert accounts.lookup(name_digest(SECRET, name), None).created_at == 1_769_848_221.0
    assert accounts.lookup(name_digest(SECRET, key), None) == AccountFacts()
    assert accounts.lookup(digest(SECRET, name), None) == AccountFacts()
    assert caplog.records == []


def test_the_account_shown_as_json_is_read(tmp_path: Path) -> None:
    (line,) = re.findall(r"^objects .*\(`(\{.*\})`\)", README, re.MULTILINE)
    path = tmp_path / "accounts.jsonl"
    path.write_text(line)

    accounts = FileDirectory(path, secret=SECRET)

    assert accounts.lookup(name_digest(SECRET, b"team-7"), None).tags == ("partner",)


@pytest.mark.parametrize("column", ["account", "kind", *FIELDS])
def test_every_column_of_an_accounts_file_is_explained(column: str) -> None:
    (block,) = blocks("csv")

    assert column in block.splitlines()[0].split(",")
    assert re.search(rf"^\| .*`{column}`.* \| ", README, re.MULTILINE)
