"""`replay --labels`: precision, recall and what a policy costs those who are no attackers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.cli.labels import Label, by_class, read_labels, score, wilson
from gateway_guard.cli.replay import REPLAY_SECRET
from gateway_guard.cli.tally import Fate, Tally
from gateway_guard.core.credentials import name_digest
from gateway_guard.core.policy import Policy
from gateway_guard.errors import SourceError
from tests.cli.test_replay import Bench, Capture, exchange


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture) -> Bench:
    """Two accounts: one sends five exchanges in five seconds, the other a single one."""
    bench = Bench(tmp_path, monkeypatch, capfd)
    bench.write(*(exchange(n, n * 1.0) for n in range(5)), exchange(9, 9.0, "a_2"))
    return bench


def labels(bench: Bench, text: str) -> Path:
    path = bench.path / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return path


def tally(**fates: Fate) -> Tally:
    counted = Tally(Policy(digest="0" * 12, source="p.yaml"))
    counted.accounts.update(fates)
    return counted


GONE = Fate(exchanges=20, refused=15, tail=0b1111111111)
FINE = Fate(exchanges=10, restricted=4)
SLOWED = Fate(exchanges=30, refused=1, tail=0b1)


def test_contained_attackers_make_recall_and_contained_others_cost_precision() -> None:
    counted = tally(thief=GONE, partner_in_crime=FINE, batch=GONE, person=SLOWED, stranger=GONE)

    found = score(
        counted,
        {
            "thief": Label("attack"), "partner_in_crime": Label("attack"),
            "batch": Label("benign"), "person": Label("benign"), "long gone": Label("benign"),
        },
    )  # fmt: skip

    assert (found["attack"], found["benign"]) == (2, 2)
    assert (found["unlabelled"], found["not_in_traffic"]) == (1, 1)
    assert ratio(found["precision"]) == (1, 2)
    assert ratio(found["recall"]) == (1, 2)
    assert ratio(found["benign_contained"]) == (1, 2)
    assert ratio(found["benign_met"]) == (2, 2), "who was refused once was wronged, too"
    assert ratio(found["benign_refused"]) == (16, 50)
    assert ratio(found["benign_restricted"]) == (0, 50)
    assert ratio(found["attack_answered"]) == (15, 30)


def ratio(share: dict[str, Any]) -> tuple[int, int]:
    return share["k"], share["n"]


def test_precision_is_unknown_when_nobody_is_contained() -> None:
    found = score(tally(a=FINE), {"a": Label("attack")})

    assert found["precision"]["share"] is None
    assert found["recall"]["share"] == 0.0
    assert found["benign_refused"]["share"] is None


def test_groups_are_told_apart_by_scenario_and_class_in_the_order_of_their_numbers() -> None:
    counted = tally(a=GONE, b=FINE, c=GONE, d=FINE)

    rows = by_class(
        counted,
        {"a": Label("attack", "s10", "S10"), "b": Label("attack", "s9", "S9"),
         "c": Label("benign", "batch")},
    )  # fmt: skip

    assert [(row["label"], row["scenario"], row["class"]) for row in rows] == [
        ("attack", "S9", "s9"), ("attack", "S10", "s10"), ("benign", "", "batch"),
        ("unlabelled", "", ""),
    ]  # fmt: skip
    assert [row["contained"] for row in rows] == [0, 1, 1, 0]
    assert [row["met"] for row in rows] == [0, 1, 1, 0]


@pytest.mark.parametrize(
    "names",
    [["S2", "S10"], ["X2", "X10"], ["A9b", "A10"], ["drip", "drip 2", "drip 10"], ["٣", "४"]],
)
def test_scenarios_are_in_the_order_of_their_numbers_whatever_their_names(names: list[str]) -> None:
    scenarios = {name: Label("attack", "", name) for name in reversed(names)}

    rows = by_class(tally(**dict.fromkeys(scenarios, GONE)), scenarios)

    assert [row["scenario"] for row in rows] == names


def test_an_honest_account_refused_for_a_while_is_counted_though_not_contained(
    bench: Bench,
) -> None:
    path = labels(bench, "account,label,class\na_1,benign,batch\na_2,benign,human\n")

    # Of three within two seconds a limit of one a minute refuses two; then there is room again.
    bench.write(
        *(exchange(n, n * 1.0) for n in range(3)),
        *(exchange(n, n * 600.0) for n in range(3, 15)),
        exchange(20, 9000.0, "a_2"),
    )
    out = bench("--labels", path, policy=bench.policy(rate=1)).out
    report = bench.json("--labels", path, policy=bench.policy(rate=1))

    (found,) = report["labels"]
    assert (ratio(found["benign_contained"]), ratio(found["benign_met"])) == ((0, 2), (1, 2))
    assert [(row["class"], row["contained"], row["met"]) for row in report["classes"]] == [
        ("batch", 0, 1), ("human", 0, 0),
    ]  # fmt: skip
    assert "benign accounts refused at any time" in out
    assert "ever refused" in out


@given(st.integers(0, 5000), st.integers(0, 5000))
def test_an_interval_holds_its_share_and_stays_within_zero_and_one(k: int, more: int) -> None:
    low, high = wilson(k, k + more)

    assert 0.0 <= low <= high <= 1.0
    assert k + more == 0 or low - 1e-9 <= k / (k + more) <= high + 1e-9


def test_no_error_among_two_thousand_bounds_the_rate_below_two_in_a_thousand() -> None:
    low, high = wilson(0, 1998)

    assert low == 0.0
    assert high == pytest.approx(0.001919, abs=1e-6)


def test_a_reviewers_verdicts_need_no_more_than_account_and_label(bench: Bench) -> None:
    path = labels(bench, "account,label\na_1,ban\na_2,allow\na_3,unknown\n")

    report = bench.json("--labels", path, policy=bench.policy(rate=1))

    (found,) = report["labels"]
    assert ratio(found["recall"]) == (1, 1)
    assert ratio(found["benign_contained"]) == (0, 1)
    assert (found["not_in_traffic"], found["unlabelled"]) == (0, 0)
    assert [row["refused"] for row in report["classes"]] == [4, 0]


def test_two_policies_are_scored_side_by_side(bench: Bench) -> None:
    path = labels(bench, "account,label,class,scenario\na_1,attack,s0,S0\na_2,benign,human,\n")

    ran = bench("--labels", path, "--against", bench.policy(rate=1))
    report = bench.json("--labels", path, "--against", bench.policy(rate=1))

    assert [ratio(part["recall"]) for part in report["labels"]] == [(0, 1), (1, 1)]
    for words in ("1 account labelled attack, 1 benign", "policy-1-enforce.yaml",
                  "– (0 of 0)", "100.00 % (1 of 1; 20.7–100.0)", "S0", "human"):  # fmt: skip
        assert words in ran.out


def test_the_class_stands_where_there_is_no_scenario(bench: Bench) -> None:
    path = labels(bench, "class,account,label\nscraper,a_1,attack\n")

    out = bench("--labels", path).out

    assert "scraper" in out
    assert "scenario" not in out
    assert "1 without a label" in out


def test_the_later_of_two_verdicts_counts(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("account,label\na,ban\nb,ban\na,allow\nb,\n")

    assert read_labels(path) == {"a": Label("benign")}


def test_a_spreadsheets_byte_order_mark_is_no_part_of_a_column(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(b"\xef\xbb\xbfaccount,label\r\na,Attack\r\n")

    assert read_labels(path) == {"a": Label("attack")}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"account,class\na,b\n", "no column 'label': the first line names the columns"),
        (b"", "no column 'account': the first line names the columns"),
        (b"account,label\na,attack\nb,guilty\n", ":3: label 'guilty' is none of attack, benign"),
        (b"account,label\n\xff,attack\n", "not CSV in UTF-8"),
    ],
)
def test_what_cannot_be_labels_is_refused_with_its_place(
    content: bytes, says: str, tmp_path: Path
) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(content)

    with pytest.raises(SourceError, match=rf"labels\.csv.*{says}"):
        read_labels(path)


def test_labels_nobody_can_read_stop_the_command_before_it_replays(bench: Bench) -> None:
    ran = bench("--labels", labels(bench, "account\na_1\n"))

    assert (ran.code, ran.out) == (3, "")
    assert "no column 'label'" in ran.err


def test_a_reviewer_may_name_accounts_as_a_campaign_of_the_replay_does(bench: Bench) -> None:
    digest = name_digest(REPLAY_SECRET, b"a_1")
    path = labels(bench, f"account,label\n {digest} ,ban\na_2,allow\n")

    report = bench.json("--labels", path, policy=bench.policy(rate=1))

    (found,) = report["labels"]
    assert ratio(found["recall"]) == (1, 1)
    assert found["not_in_traffic"] == 0


def test_labels_of_nobody_in_the_traffic_are_said_to_be(bench: Bench) -> None:
    ran = bench("--labels", labels(bench, "account,label\nacct_aaaaaaaaaaaaaaaa,ban\n"))

    assert "labels.csv names no account of" in ran.err
