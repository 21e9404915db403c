"""The oracle of the soak finds what is wrong, and nothing else."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway_guard import build_guard
from gateway_guard.errors import SourceError
from gateway_guard.network.mmdb import open_bytes
from gateway_guard.policy.compile import check_policy, compile_policy
from gateway_guard.settings import Settings
from gateway_guard.types import Wire
from tests import build
from tests.soak.asks import COLD, Ask, ask, draw, number_of, raw
from tests.soak.oracle import RELOADS, Line, Oracle, Windows, judge, unequal
from tests.soak.policies import (
    BURST,
    RATE,
    Variant,
    bad,
    broken,
    country_in,
    database,
    variant,
)
from tests.soak.reading import Reading
from tests.soak.speed import compared
from tests.soak.watch import BYTES, LEAST_LIFE, WARM, Sample, grows

NOW = 1_800_000_000.0


def oracle(*variants: Variant) -> Oracle:
    made = Oracle(Windows(), Windows())
    made.versions.put(0, 0.0)
    for one in variants:
        made.add(one, 0.0)
    return made


def line(of: Variant, one: Ask, **more: Any) -> Line:
    """What a guard without a mistake would write."""
    country = country_in(0, one.address)
    verdict = judge(of, one, country)
    fields: dict[str, Any] = {
        "id": f"r_{one.number}", "action": verdict.action, "acted": True, "method": one.method,
        "path": one.path, "policy": of.digest, "time": "", "rule": verdict.rule,
        "status": verdict.status, "client_ip": one.address, "country": country, "model": one.model,
        "account": f"acct_{one.key}",
    }  # fmt: skip
    return Line(**fields | more)


def first(of: Variant, action: str, *, hot: bool = False, method: str | None = None) -> Ask:
    """A request that the rules of a policy treat like this."""
    for number in range(100_000):
        one = ask(number)
        found = judge(of, one, country_in(0, one.address)).action == action and one.hot is hot
        if found and method in (None, one.method):
            return one
    raise AssertionError(action)


def denied(of: Variant) -> int:
    """How many of the first requests its rules deny."""
    verdicts = [judge(of, ask(n), country_in(0, ask(n).address)).action for n in range(500)]
    return verdicts.count("deny")


GOOD = next(found for found in map(variant, range(100)) if 25 < denied(found) < 250)


def test_what_a_guard_without_a_mistake_decides_is_right() -> None:
    checks = oracle(GOOD)

    for number in range(5_000):
        checks.check(line(GOOD, ask(number)), NOW + number)

    assert not checks.wrong
    assert checks.checked == 5_000
    assert set(checks.decisions) == {"allowed", "denied by a rule"}


def test_who_is_turned_away_unseen_is_no_wrong_decision_but_counted() -> None:
    checks, one = oracle(GOOD), first(GOOD, "allow")
    unseen = {"client_ip": None, "model": None, "account": None, "country": None}
    refusal = {"action": "deny", "rule": "guard:overload", "status": 503}

    checks.check(line(GOOD, one, **unseen, **refusal), NOW)

    assert not checks.wrong
    assert checks.decisions == {"turned away (503)": 1}
    assert checks.statuses == {one.number: 503}
    assert checks.turned_away == {one.number}


@pytest.mark.parametrize(
    ("action", "changed"),
    [
        ("deny", {"action": "allow", "rule": None, "status": None}),
        ("deny", {"status": 418}),
        ("deny", {"rule": "rule-99"}),
        ("deny", {"acted": False}),
        ("allow", {"action": "deny", "rule": "rule-0", "status": 403}),
        ("allow", {"action": "throttle", "rule": "limit:requests", "status": 429}),
        ("allow", {"action": "deny", "rule": "guard:store", "status": 503}),
        ("allow", {"action": "deny", "rule": "guard:error", "status": 500}),
        ("allow", {"policy": "0123456789ab"}),
        ("allow", {"country": None}),
        ("allow", {"client_ip": "30.0.0.1"}),
        ("allow", {"account": None}),
        ("allow", {"path": "/elsewhere"}),
    ],
)
def test_every_mistake_is_found(action: str, changed: dict[str, Any]) -> None:
    checks = oracle(GOOD)

    checks.check(line(GOOD, first(GOOD, action), **changed), NOW)

    assert sum(checks.wrong.values()) == 1
    assert len(checks.told) == 1


def test_what_cannot_be_counted_is_refused_only_while_the_store_fails() -> None:
    strict = next(found for found in map(variant, range(100)) if found.store == "deny")
    one = first(strict, "allow")
    refused = line(strict, one, action="deny", rule="guard:store", status=503)
    checks = oracle(strict)
    checks.faults.add(NOW, NOW + 5)

    checks.check(refused, NOW + 1)

    assert not checks.wrong
    checks.check(refused, NOW + 6)
    assert sum(checks.wrong.values()) == 1


def quota(*asked: tuple[float, bool]) -> Oracle:
    """One account that asks often, at these seconds, and whether it was let through."""
    checks = oracle(GOOD)
    key = first(GOOD, "allow", hot=True).key
    numbers = [
        number for number in range(20_000)
        if ask(number).key == key
        and judge(GOOD, ask(number), country_in(0, ask(number).address)).action == "allow"
    ]  # fmt: skip
    for number, (at, let) in zip(numbers, asked, strict=False):
        more = {} if let else {"action": "throttle", "rule": "limit:requests", "status": 429}
        checks.check(line(GOOD, ask(number), **more), NOW + at)
    checks.close_quotas(before=10**6)
    return checks


def test_a_quota_is_reckoned_request_by_request() -> None:
    right = [(0.0, True)] * BURST + [(0.5, False)] * 10 + [(3.1, True)] * int(3 * RATE)

    checks = quota(*right)

    assert not checks.wrong
    assert checks.quotas_checked == 1


def test_one_that_is_given_too_much_is_found() -> None:
    assert quota(*[(0.0, True)] * (BURST + 10)).wrong == {"quota": 1}


def test_one_that_is_refused_too_early_is_found() -> None:
    assert quota(*[(0.0, True)] * (BURST - 10), (0.1, False)).wrong == {"quota": 1}


def test_those_that_came_while_one_waited_may_have_been_counted_before_it() -> None:
    early = [(0.0, True)] * (BURST - 8)

    assert not quota(*early, (0.1, False), *[(0.2, True)] * 8, (0.3, False)).wrong
    assert quota(*early, (0.1, False), *[(3.0, True)] * 8).wrong == {"quota": 1}


def test_what_was_replaced_is_in_force_for_a_while_and_no_longer() -> None:
    other = next(found for found in map(variant, range(100, 200)) if found.digest != GOOD.digest)
    checks, one = oracle(GOOD), first(GOOD, "allow")
    checks.add(other, NOW)
    checks.versions.put(1, NOW)

    checks.check(line(GOOD, one), NOW - 60.0)
    checks.check(line(GOOD, one), NOW + RELOADS - 0.1)
    assert not checks.wrong
    checks.check(line(GOOD, one), NOW + RELOADS + 0.1)
    assert checks.wrong == {"a policy that was replaced": 1}

    new, old = (country_in(version, one.address) for version in (1, 0))
    checks = oracle(GOOD)
    checks.versions.put(1, NOW)
    for country, at in ((new, NOW - 60.0), (old, NOW + RELOADS + 0.1), (old, NOW + 1.0)):
        checks.check(line(GOOD, one, country=country), at)
    assert checks.wrong == {"a country that no database in force has for it": 2}


def test_what_could_not_be_counted_may_have_been_and_is_not_held_against_the_guard() -> None:
    strict = next(found for found in map(variant, range(100)) if found.store == "deny")
    one = first(strict, "allow", hot=True)
    early = {"action": "throttle", "rule": "limit:requests", "status": 429}
    checks = oracle(strict)
    checks.faults.add(NOW - 5, NOW + 5)

    checks.check(line(strict, one, action="deny", rule="guard:store", status=503), NOW + 4)
    checks.check(line(strict, one, **early), NOW + 7)
    checks.close_quotas(before=10**6)

    assert not checks.wrong
    assert checks.quotas_checked == 0


def test_answers_unlike_the_log_are_found() -> None:
    assert unequal({1: 200, 2: 403, 3: 200}, {1: 200, 2: 200}) == [(2, 403, 200)]


@pytest.mark.parametrize("number", range(20))
def test_bad_policies_are_bad_and_good_ones_good(number: int) -> None:
    assert check_policy(bad(number), "bad.yaml")[0] is None
    policy, _ = check_policy(variant(number).text.encode(), "good.yaml")
    assert policy is not None
    assert policy.digest == variant(number).digest


@pytest.mark.parametrize("number", range(10))
def test_broken_databases_cannot_be_read_and_whole_ones_can(number: int) -> None:
    with pytest.raises(SourceError):
        open_bytes(broken(number), "broken.mmdb")
    open_bytes(database(number), "whole.mmdb")


def test_the_guard_reads_of_a_request_what_was_meant() -> None:
    guard = build_guard(
        compile_policy(GOOD.text.encode(), "p"), settings=Settings(secret=build.SECRET)
    )
    for number in range(200):
        one = ask(number)
        head, _, body = raw(one).partition(b"\r\n\r\n")
        fields = [field.partition(b": ") for field in head.split(b"\r\n")[1:]]
        wire = Wire(
            method=one.method, raw_path=one.path.encode(), peer="127.0.0.1", body=body or None,
            headers=[(name.lower(), value) for name, _, value in fields],
        )  # fmt: skip

        request = asyncio.run(guard.decide(wire)).request

        assert (request.client_ip, request.path) == (one.address, one.path)
        assert number_of(one.path) == number
        assert request.model == one.model
    asyncio.run(guard.close())


def test_accounts_and_addresses_are_a_million() -> None:
    numbers = range(0, COLD, 37)

    assert len({ask(number).address for number in numbers}) == len(numbers)
    assert 0.08 < sum(draw(number, 2) % 10 == 0 for number in numbers) / len(numbers) < 0.12


def life(*resident: int) -> list[Sample]:
    """A process that fills its tables, and then has this much at equal times."""
    step = 2 * LEAST_LIFE / len(resident)
    warm = [Sample(at, int(at * BYTES), 10) for at in range(int(WARM))]
    return [*warm, *(Sample(WARM + at * step, size, 10) for at, size in enumerate(resident))]


def test_memory_that_grows_for_ever_is_found_and_one_that_fills_is_not() -> None:
    forever = life(*[50 * BYTES // 20 * n for n in range(1, 21)])
    fills = life(*[BYTES] * 40)

    assert grows(forever) is not None
    assert grows(fills) is None
    assert grows([one._replace(descriptors=at * 10) for at, one in enumerate(fills)]) is not None
    assert grows(life(*[1])) is None


def test_the_machine_is_compared_with_what_it_was() -> None:
    slower = [0.001] * 200 + [0.002] * 50 + [0.001] * 200

    assert compared([0.001] * 20, slower) == (
        "1.00 of what it was when the load was chosen, 0.50 in its slowest 10 s"
    )
    assert compared([], slower) == compared([0.001], [0.001]) == "not known"


def test_a_log_is_read_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    checks = oracle(GOOD)
    at = dt.datetime.fromtimestamp(NOW, dt.UTC).isoformat()
    raws = [msgspec.json.encode(line(GOOD, ask(number), time=at)) for number in range(3)]
    path.write_bytes(raws[0] + b"\n" + raws[1][:20])
    reading = Reading(path, checks)
    with path.open("ab") as file:
        file.write(raws[1][20:] + b"\n" + b'{"half": \n' + raws[2] + b"\n")
    reading.stop()

    assert checks.checked == 3
    assert reading.malformed == 1
    assert not checks.wrong
