"""Account attributes from files and from the application."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.accounts import attributes
from gateway_guard.accounts.base import Directory
from gateway_guard.accounts.file import FileDirectory
from gateway_guard.accounts.none import NoDirectory
from gateway_guard.accounts.seen import Seen
from gateway_guard.accounts.state import merged
from gateway_guard.core.credentials import digest, name_digest
from gateway_guard.errors import SourceError
from gateway_guard.types import AccountFacts
from tests.build import SECRET

ROW = {
    "account": "a_1",
    "organisation": "o_1",
    "created_at": 1_700_000_000,
    "country": "no",
    "payment": "p_1",
    "programme": "edu",
    "tier": "free",
    "verified": True,
    "tags": ["partner", "x"],
}
FACTS = AccountFacts(
    organisation="o_1",
    created_at=1_700_000_000.0,
    country="NO",
    payment="p_1",
    programme="edu",
    tier="free",
    verified=True,
    tags=("partner", "x"),
)
#: Two accounts, of which the first is suspended.
SUSPENDED = {
    ".jsonl": b'{"account": "a_1", "tier": "suspended"}\n{"account": "a_2"}\n',
    ".csv": b"account,tier\na_1,suspended\na_2,\na_2,\n",
}


def directory(path: Path, *rows: Any) -> FileDirectory:
    path.write_bytes(b"\n".join(msgspec.json.encode(row) for row in rows))
    return FileDirectory(path, secret=SECRET)


def test_json_lines_are_read(tmp_path: Path) -> None:
    accounts = directory(tmp_path / "a.jsonl", ROW)

    assert accounts.lookup(digest(SECRET, b"a_1"), None) == FACTS
    assert accounts.lookup(name_digest(SECRET, b"a_1"), None) == FACTS
    assert accounts.lookup("acct_aaaaaaaaaaaaaaaa", None) == AccountFacts()


def test_csv_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "account,organisation,created_at,country,payment,programme,tier,verified,tags\n"
        "a_1,o_1,2023-11-14T22:13:20Z,NO,p_1,edu,free,yes,partner x\n"
        "a_2,,,,,,,,\n"
    )

    accounts = FileDirectory(path, secret=SECRET)

    assert accounts.lookup(digest(SECRET, b"a_1"), None) == FACTS
    assert accounts.lookup(digest(SECRET, b"a_2"), None) == AccountFacts()


def test_an_id_may_be_a_digest_a_key_or_a_name(tmp_path: Path) -> None:
    ready = digest(SECRET, b"other")
    accounts = directory(
        tmp_path / "a.jsonl",
        {"account": ready, "tier": "a"},
        {"account": "k", "kind": "key", "tier": "b"},
        {"account": "n", "kind": "name", "tier": "c"},
    )

    assert accounts.lookup(ready, None).tier == "a"
    assert accounts.lookup(digest(SECRET, b"k"), None).tier == "b"
    assert accounts.lookup(name_digest(SECRET, b"n"), None).tier == "c"
    assert accounts.lookup(digest(SECRET, b"n"), None).tier is None
    assert len(accounts) == 3


@pytest.mark.parametrize("kind", ["key", ""])
def test_a_key_is_the_same_however_it_was_copied(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "\ufeffaccount,kind,tier\n"
        f"Bearer sk-1,{kind},a\n bearer   sk-2 ,{kind},b\nsk 3 \t,{kind},c\n"
    )

    accounts = FileDirectory(path, secret=SECRET)

    found = [accounts.lookup(digest(SECRET, key), None).tier for key in (b"sk-1", b"sk-2", b"sk 3")]
    assert found == ["a", "b", "c"]


def test_a_name_is_taken_as_it_stands(tmp_path: Path) -> None:
    accounts = directory(
        tmp_path / "a.jsonl", {"account": "Bearer of news", "kind": "name", "tier": "a"}
    )

    assert accounts.lookup(name_digest(SECRET, b"Bearer of news"), None).tier == "a"


def test_json_lines_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"account": "a_1", "tier": "a"}\r\n')

    accounts = FileDirectory(path, secret=SECRET)

    assert accounts.lookup(digest(SECRET, b"a_1"), None).tier == "a"


def test_the_application_wins_over_the_file(tmp_path: Path) -> None:
    accounts = directory(tmp_path / "a.jsonl", ROW)

    found = accounts.lookup(digest(SECRET, b"a_1"), {"tier": "scale", "country": 5})

    assert (found.tier, found.country, found.organisation) == ("scale", "NO", "o_1")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", b'{"account": "x"}\nnot json', "a.jsonl:2: not JSON"),
        ("a.jsonl", b"[1]", "not a JSON object; write one object a line"),
        ("a.txt", b"account,tier\nx,free\n", "a.txt:1: not JSON; .* needs a name in .csv"),
        ("a.jsonl", b'{"tier": "x"}', "'account' is missing"),
        ("a.jsonl", b'{"account": true}', "'account' is missing"),
        ("a.jsonl", b'{"account": "x", "kind": "y"}', "'kind' must be"),
        ("a.jsonl", b"\xff", "not JSON"),
        ("a.csv", b"\x1f\x8b\x08", "a.csv: it is gzipped; unpack it"),
        ("a.jsonl", b"[" * 100_000, "not JSON"),
        ("a.csv", b"account,tier\nx,y,z\n", "more values than columns"),
        ("a.csv", b"\xff", "not UTF-8; a spreadsheet writes it as `CSV UTF-8"),
        ("a.csv", b'account\n"x', "a.csv:"),
        ("a.csv", b"tier\nx\n", "a.csv:1: no column 'account': .* kind, organisation,"),
        ("a.csv", b"garbage", "a.csv:1: no column 'account'"),
        ("a.csv", b"account;tier\nx;free\n", "with commas between them"),
        ("a.csv", b"account,tier,tier\nx,free,scale\n", "a.csv:1: two columns 'tier'"),
        ("a.csv", b"account,tier,account\nx,free,y\n", "a.csv:1: two columns 'account'"),
        ("a.csv", b"\naccount\nx\n", "a.csv:1: no column 'account'"),
        ("a.csv", b"account,tier\n,free\n", "a.csv:2: 'account' is missing"),
    ],
)
def test_a_bad_line_names_file_and_line(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(SourceError, match=words):
        FileDirectory(path, secret=SECRET)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="No such file"):
        FileDirectory(tmp_path / "none.jsonl", secret=SECRET)


def test_a_reload_that_fails_keeps_the_last_good(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    accounts = directory(path, ROW)
    account = digest(SECRET, b"a_1")

    path.write_text("broken")
    assert not accounts.reload()
    assert accounts.lookup(account, None) == FACTS
    assert accounts.error is not None

    path.write_text('{"account": "a_1", "tier": "build"}')
    assert accounts.reload()
    assert accounts.lookup(account, None) == AccountFacts(tier="build")
    assert accounts.error is None


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("a.jsonl", b""), ("a.jsonl", b"\n \n"), ("a.csv", b""), ("a.csv", b"\n"),
        ("a.csv", b"account,tier\n"),
    ],
)  # fmt: skip
def test_a_file_that_was_emptied_frees_nobody(tmp_path: Path, name: str, left: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(SUSPENDED[path.suffix])
    accounts = FileDirectory(path, secret=SECRET)
    path.write_bytes(left)

    good = accounts.reload()

    assert not good
    assert accounts.lookup(digest(SECRET, b"a_1"), None).tier == "suspended"
    assert accounts.trouble == (
        f"{path}: no account in it, where there were 2: taken for a file that was cut short. Write "
        "it anew; to have none, restart the guard; the last good file serves"
    )


def test_who_takes_the_place_of_one_that_had_accounts_does_not_start_without(
    tmp_path: Path,
) -> None:
    path, others = tmp_path / "a.jsonl", Seen()
    directory(path, ROW).beside(others)
    path.write_bytes(b"")
    late = FileDirectory(path, secret=SECRET)

    with pytest.raises(SourceError, match="workers before this one had some"):
        late.beside(others)


def test_a_new_deployment_without_accounts_starts_and_starts_again_until_there_are_some(
    tmp_path: Path,
) -> None:
    path, others = tmp_path / "a.jsonl", Seen()
    path.write_bytes(b"")
    first, second = (FileDirectory(path, secret=SECRET) for _ in range(2))
    first.beside(others)
    second.beside(others)
    path.write_text('{"account": "a_2", "tier": "free"}')
    assert first.reload()
    path.write_bytes(b"")

    with pytest.raises(SourceError, match="cut short"):
        FileDirectory(path, secret=SECRET).beside(others)


def test_processes_share_what_they_have_seen() -> None:
    others = Seen()

    before, child = bool(others), os.fork()
    if child == 0:
        others.mark()
        os._exit(0)
    os.waitpid(child, 0)

    assert (before, bool(others)) == (False, True)


def test_a_file_that_was_emptied_is_read_again_once_somebody_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    accounts = directory(path, ROW)
    path.write_bytes(b"")
    accounts.reload()

    path.write_text('{"account": "a_2", "tier": "free"}')

    assert accounts.reload()
    assert accounts.trouble is None
    assert accounts.lookup(digest(SECRET, b"a_2"), None).tier == "free"


@pytest.mark.parametrize(
    ("name", "content"), [("a.jsonl", b""), ("a.csv", b""), ("a.csv", b"account,tier\n")]
)
def test_a_new_deployment_begins_without_accounts_and_that_is_logged(
    tmp_path: Path, name: str, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    accounts = FileDirectory(path, secret=SECRET)

    assert (len(accounts), accounts.trouble) == (0, None)
    assert f"{path}: no account in it" in caplog.text
    assert accounts.reload()


def test_a_header_without_accounts_is_refused_again_later_and_not_quoted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("account,tier\na_1,suspended\n")
    accounts = FileDirectory(path, secret=SECRET)
    path.write_text("sk-secret,suspended\n")

    good = accounts.reload()

    assert not good
    assert accounts.lookup(digest(SECRET, b"a_1"), None).tier == "suspended"
    assert f"{path}:1: no column 'account'" in str(accounts.trouble)
    assert "sk-secret" not in caplog.text + str(accounts.trouble)


def test_a_reload_logs_how_many_accounts_there_were_and_are(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.jsonl"
    accounts = directory(path, ROW)
    path.write_text('{"account": "a_1"}\n{"account": "a_2", "kind": "name"}\n')
    caplog.set_level("INFO")

    accounts.reload()
    path.write_bytes(b"")
    accounts.reload()

    reloaded, failed = (record.getMessage() for record in caplog.records)
    assert reloaded == f"accounts_reloaded file={path} accounts=2 were=1"
    assert failed.startswith(f"accounts_reload_failed kept=2 reason={path}: no account in it")


def test_no_directory_knows_what_the_application_says() -> None:
    nobody: Directory = NoDirectory()

    assert nobody.lookup("acct_x", None) == AccountFacts()
    assert nobody.lookup("acct_x", {"tags": "partner"}).tags == ("partner",)
    assert nobody.reload()


@pytest.mark.parametrize(
    ("reader", "value", "expected"),
    [
        (attributes.flag, "TRUE", True),
        (attributes.flag, "no", False),
        (attributes.flag, 1, True),
        (attributes.flag, 2, None),
        (attributes.flag, "maybe", None),
        (attributes.flag, None, None),
        (attributes.moment, "1700000000.5", 1_700_000_000.5),
        (attributes.moment, "nan", None),
        (attributes.moment, float("inf"), None),
        (attributes.moment, True, None),
        (attributes.moment, 10**400, None),
        (attributes.moment, "2026-01-01", 1_767_225_600.0),
        (attributes.moment, "x", None),
        (attributes.moment, [1], None),
        (attributes.created, 1, 1.0),
        (attributes.created, 0, None),
        (attributes.created, "-1", None),
        (attributes.country, "de", "DE"),
        (attributes.country, "DEU", None),
        (attributes.country, "1x", None),
        (attributes.country, False, None),
        (attributes.country, "uk", "GB"),
        (attributes.country, "XX", None),
        (attributes.text, " x ", "x"),
        (attributes.text, 5, "5"),
        (attributes.text, "", None),
        (attributes.text, "a\nb", None),
        (attributes.text, "x" * 300, None),
        (attributes.tags, "a, b;c a", ("a", "b", "c")),
        (attributes.tags, ["a", 5, None], ("a", "5")),
        (attributes.tags, 5, ()),
        (attributes.tags, {"a": 1}, ()),
    ],
)
def test_attributes_are_read_or_unknown(reader: Any, value: Any, expected: Any) -> None:
    assert reader(value) == expected


anything = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()


@given(
    st.dictionaries(st.sampled_from([*attributes.FIELDS, "else"]), anything | st.lists(anything))
)
def test_no_state_makes_it_raise(state: dict[str, Any]) -> None:
    facts = merged(AccountFacts(), state)

    assert msgspec.convert(msgspec.to_builtins(facts), AccountFacts) == facts


def test_what_is_not_understood_is_told_once_with_its_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [{"account": f"a_{n}", "teir": "free", "country": "Norway", "tags": []} for n in "123"]

    accounts = directory(tmp_path / "a.jsonl", {"account": "a_0", "tier": None}, *rows)

    (record,) = caplog.records
    assert "'teir' (line 2 and 2 more), 'country' (line 2 and 2 more)" in record.getMessage()
    assert accounts.lookup(digest(SECRET, b"a_1"), None) == AccountFacts()


def test_a_second_line_for_one_account_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [{"account": "a_1", "tier": tier} for tier in ("free", "free", "scale")]

    accounts = directory(tmp_path / "a.jsonl", *rows)

    assert "an account's earlier line (line 3)" in caplog.text
    assert accounts.lookup(digest(SECRET, b"a_1"), None).tier == "scale"


def test_a_file_that_is_understood_is_read_in_silence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory(tmp_path / "a.jsonl", ROW, ROW | {"account": "a_2", "kind": "key"})

    assert caplog.records == []


def test_a_blank_behind_a_comma_is_no_part_of_a_column(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.csv"
    path.write_text('account, tier, organisation\na_1, scale, "One, Two"\n')

    facts = FileDirectory(path, secret=SECRET).lookup(digest(SECRET, b"a_1"), None)

    assert (facts.tier, facts.organisation) == ("scale", "One, Two")
    assert caplog.records == []


def test_milliseconds_are_no_date_and_do_not_make_an_account_new_for_ever() -> None:
    assert attributes.moment(1_700_000_000_000) is None
    assert attributes.moment("1700000000000") is None


def test_a_file_that_was_written_anew_has_changed_once(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    accounts = directory(path, ROW)
    before = accounts.changed()

    path.write_text('{"account": "a_1", "tier": "a longer line than before"}')

    looks = [accounts.changed() for _ in range(3)]
    assert (before, looks) == (False, [False, True, False])
    path.unlink()
    assert [accounts.changed() for _ in range(3)] == [False, True, False]


def test_a_file_that_is_written_in_place_has_changed_when_that_is_over(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows = [msgspec.json.encode({"account": f"a_{n}", "tags": ["suspended"]}) for n in range(10)]
    path.write_bytes(b"\n".join(rows))
    accounts = FileDirectory(path, secret=SECRET)
    looks = []

    with path.open("wb") as file:
        for row in rows:
            file.write(row + b"\n")
            file.flush()
            looks.append(accounts.changed())
    looks += [accounts.changed(), accounts.changed()]

    assert looks == [False] * 10 + [True, False]


def test_what_cannot_be_read_again_is_a_trouble_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("account,tier\nx,free\n")
    accounts = FileDirectory(path, secret=SECRET)
    before = accounts.trouble

    path.write_text("account,tier\nx,free\ny,free,z\n")
    accounts.reload()

    assert before is None
    assert accounts.trouble == f"{path}:3: more values than columns; the last good file serves"
