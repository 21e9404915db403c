"""What waits to be counted, and the decisions kept to be explained: bounded, newest first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway_guard.record import watching
from gateway_guard.record.line import Addresses, line
from gateway_guard.record.search import latest_lines
from gateway_guard.record.watching import ACCOUNTS, OF_EACH, QUEUE, Watching
from gateway_guard.types import Action, Assessment, Exchange
from tests import build

NOW = build.NOW


def watched(addresses: Addresses = Addresses.FULL) -> Watching:
    return Watching(threaded=False, clock=lambda: NOW, addresses=addresses)


def ids(lines: list[bytes]) -> list[str]:
    return [msgspec.json.decode(one)["id"] for one in lines]


def exchange(number: int, account: str = "acct_a", action: Action = Action.ALLOW) -> Exchange:
    request = build.request(id=f"r_{number}", at=NOW + number / 1000, account=account)
    return build.exchange(request=request, decision=build.decision(action=action))


def test_the_latest_decisions_of_an_account_are_kept_newest_first() -> None:
    seen = watched()
    for number in range(OF_EACH + 3):
        seen.write(exchange(number))

    assert ids(seen.lines("acct_a")) == [f"r_{n}" for n in range(OF_EACH + 2, 2, -1)]
    assert seen.lines("acct_b") == []


def test_of_an_account_that_was_erased_nothing_is_shown() -> None:
    seen = watched()
    request = build.request(id="r_1", at=NOW, account="acct_a")
    near = build.decision(
        action=Action.DENY,
        grants=[build.grant(charge=build.charge(key="few:acct_a|m"), remaining=0.0)],
    )
    seen.write(build.exchange(request=request, decision=near))
    seen.write(exchange(2, "acct_b", Action.DENY))

    before = seen.tally()
    seen.forget("acct_a")

    after = seen.tally()
    assert {one.account for one in before.day.stopped} == {"acct_a", "acct_b"}
    assert [one.account for one in after.day.stopped] == ["acct_b"]
    assert (len(before.limits), len(after.limits)) == (1, 0)
    assert seen.lines("acct_a") == []
    assert seen.lines("acct_b")


def test_in_a_rush_the_severe_and_the_latest_are_kept() -> None:
    seen = watched()
    for number in range(500):
        action = Action.DENY if number == 100 else Action.ALLOW
        seen.write(exchange(number, f"acct_{number}", action))

    assert seen.lines("acct_100")
    assert seen.lines("acct_499")
    assert not seen.lines("acct_200")


def test_the_thread_counts_a_piece_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = watched()
    monkeypatch.setattr(watching, "PIECE", 0.0)
    for number in range(3):
        seen.write(exchange(number))

    left = [seen._piece() for _ in range(8)]

    # Three are counted, chosen at once, and get a line each.
    assert left == [3, 3, 3, 3, 2, 1, 0, 0]
    assert len(seen.lines("acct_a")) == 3


def test_accounts_take_a_fixed_room() -> None:
    seen = watched()
    for number in range(ACCOUNTS + 50):
        seen.write(exchange(number, f"acct_{number}"))
        seen.count()

    assert len(seen._lines) == ACCOUNTS
    assert not seen.lines("acct_0")


def test_what_finds_no_place_in_the_queue_is_counted() -> None:
    seen = watched()
    one = exchange(1)
    for _ in range(QUEUE + 5):
        seen.write(one)

    tally = seen.tally()

    assert (tally.dropped, tally.hour.all) == (5, QUEUE)


def test_one_odd_exchange_does_not_end_the_counting() -> None:
    seen = watched()
    seen.write(object())  # type: ignore[arg-type]
    seen.write(exchange(1))

    assert seen.tally().hour.all == 1
    assert seen.failed == 1


def test_one_that_cannot_be_written_down_does_not_end_it_either() -> None:
    """As when a detector of somebody's own says what is no text."""
    evidence: Any = object()
    signals = (build.signal(evidence=evidence),)
    odd = build.exchange(assessment=Assessment(signals=signals, risk=1.0))
    seen = watched()
    seen.write(odd)
    seen.write(exchange(1))

    assert ids(seen.lines("acct_a")) == ["r_1"]
    assert seen.tally().hour.all == 2
    assert seen.failed == 1


def test_lines_hold_no_more_of_an_address_than_the_log() -> None:
    seen = watched(Addresses.NONE)
    seen.write(exchange(1))

    assert "client_ip" not in msgspec.json.decode(seen.lines("acct_a")[0])


def test_the_thread_counts_and_ends() -> None:
    seen = Watching(clock=lambda: NOW)
    seen.write(exchange(1))

    seen.close()

    assert seen.tally().hour.all == 1
    assert watching.INTERVAL < 1.0


def test_the_decision_log_is_searched_from_its_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    made = [line(exchange(n, f"acct_{n % 2}")) for n in range(4_000)]
    path.write_bytes(b"".join(made) + b'{"torn":')

    assert ids(latest_lines(path, "acct_1", 3)) == ["r_3999", "r_3997", "r_3995"]
    assert latest_lines(path, "acct_x", 3) == []
    assert len(latest_lines(path, "acct_0", 5_000)) == 2_000
    assert latest_lines(tmp_path / "none", "acct_1", 3) == []


def test_a_small_log_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(line(exchange(1)))

    assert ids(latest_lines(path, "acct_a", 3)) == ["r_1"]
