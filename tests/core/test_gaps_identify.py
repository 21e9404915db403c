"""Two sources of an account, and account files at their edges."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway_guard.accounts import file as accounts_file
from gateway_guard.accounts.file import FileDirectory
from gateway_guard.core.credentials import digest
from gateway_guard.core.identify import identify
from gateway_guard.core.sections import AccountSource, Identify, Inspect
from gateway_guard.errors import SourceError
from tests import build


def test_a_token_beside_a_plain_key_changes_nothing() -> None:
    rules = Identify(
        accounts=(
            AccountSource(kind="header", header="x-api-key"),
            AccountSource(kind="jwt", header="x-token", verify=False),
        )
    )

    request = identify(
        build.wire(headers={"x-api-key": "sk-1", "x-token": "not.a.token"}, key=None), rules,
        Inspect(), id="r_1", at=build.NOW, secret=build.SECRET, keys={},
    )  # fmt: skip

    assert request.account == digest(build.SECRET, b"sk-1")
    assert request.credential_fault is None


def test_a_number_names_an_account_and_blank_lines_none(tmp_path: Path) -> None:
    path = tmp_path / "accounts.jsonl"
    path.write_text('\n{"account": 42, "kind": "key", "tier": "free"}\n\n')

    directory = FileDirectory(path, secret=build.SECRET)

    assert directory.lookup(digest(build.SECRET, b"42"), None).tier == "free"


def test_a_file_too_large_to_hold_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "accounts.jsonl"
    path.write_text('{"account": "a"}\n' * 9)
    monkeypatch.setattr(accounts_file, "LARGEST", 100)

    with pytest.raises(SourceError, match="larger than 100"):
        FileDirectory(path, secret=build.SECRET)
