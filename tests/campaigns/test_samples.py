"""The one place where text of prompts is kept: only if asked for, little, and not for long."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.campaigns.digests import sighting_of
from gateway_guard.campaigns.report import report_of
from gateway_guard.campaigns.samples import _FIRST, AGE, MOST, Samples
from gateway_guard.campaigns.sighting import Sighting
from gateway_guard.campaigns.snapshot import freeze
from gateway_guard.core.identify import identify
from gateway_guard.record.line import line
from gateway_guard.types import Request
from tests import build
from tests.campaigns.build import learnt
from tests.campaigns.reported import stream

TEXT = "Grade the answer below by the rubric."


def said(
    organisation: str = "o_1", *keys: int, at: float = 0.0, text: str | None = TEXT
) -> Sighting:
    return Sighting(
        at=at, account=f"a_{organisation}", organisation=organisation, keys=keys or (1,),
        sample=text,
    )  # fmt: skip


def shared(*keys: int, at: float = 0.0) -> Samples:
    samples = Samples()
    for organisation in ("o_1", "o_2"):
        for key in keys:
            samples.note(said(organisation, key, at=at))
    return samples


def request(policy: str) -> Request:
    rules = build.policy(policy)
    return identify(
        build.wire(body=build.chat_body(TEXT)), rules.identify, rules.inspect,
        id="r_1", at=build.NOW, secret=build.SECRET, keys={},
    )  # fmt: skip


def test_nothing_is_kept_unless_the_policy_asks_for_it() -> None:
    found = request("signals: { template-sweep: { weight: 0.5 } }").prompt

    assert found is not None
    assert found.sample is None


@pytest.mark.parametrize(("asked", "kept"), [("5 characters", TEXT[:5]), ("400 characters", TEXT)])
def test_as_many_characters_are_kept_as_the_policy_says(asked: str, kept: str) -> None:
    policy = (
        f"signals: {{ template-sweep: {{ weight: 0.5 }} }}\ninspect: {{ keep_samples: {asked} }}"
    )
    exchange = build.exchange(request=request(policy))

    seen = sighting_of(exchange, bytes(32))

    assert seen is not None
    assert seen.sample == kept


def test_a_sample_is_in_no_decision_log() -> None:
    exchange = build.exchange(request=build.request(prompt=build.prompt(sample=TEXT)))

    assert b"rubric" not in line(exchange)


def test_text_of_one_organisation_alone_is_not_kept() -> None:
    samples = Samples()

    for account in ("a_1", "a_2"):
        samples.note(msgspec.structs.replace(said("o_1"), account=account))

    assert samples.of(1, 0.0) is None
    assert len(samples) == 0


def test_accounts_without_an_organisation_are_organisations_of_their_own() -> None:
    samples = Samples()

    for account in ("a_1", "a_2"):
        samples.note(msgspec.structs.replace(said(), account=account, organisation=None))

    assert samples.of(1, 0.0) == TEXT


def test_the_latest_text_of_a_shared_key_is_kept() -> None:
    samples = shared(1)

    samples.note(said("o_1", at=5.0, text="Grade another."))

    assert samples.of(1, 5.0) == "Grade another."
    assert samples.of(2, 5.0) is None


def test_an_exchange_without_a_sample_changes_nothing() -> None:
    samples = shared(1)

    samples.note(said("o_1", at=5.0, text=None))

    assert samples.of(1, 5.0) == TEXT


def test_a_sample_is_gone_a_week_after_its_last_use() -> None:
    samples = shared(1, at=100.0)

    assert samples.of(1, 100.0 + AGE) == TEXT
    assert samples.of(1, 101.0 + AGE) is None
    assert len(samples) == 1
    samples.note(said("o_3", 2, at=101.0 + AGE))
    assert len(samples) == 0


def test_only_what_is_too_old_is_forgotten() -> None:
    samples = shared(1, at=0.0)
    for organisation in ("o_1", "o_2"):
        samples.note(said(organisation, 2, at=AGE))

    samples.expire(AGE + 1.0)

    assert len(samples) == 1
    assert samples.of(2, AGE + 1.0) == TEXT


def test_the_longest_unused_sample_makes_room() -> None:
    samples = shared(*range(MOST))
    samples.note(said("o_1", 0))

    for organisation in ("o_1", "o_2"):
        samples.note(said(organisation, MOST))

    assert len(samples) == MOST
    assert samples.of(0, 0.0) == samples.of(MOST, 0.0) == TEXT
    assert samples.of(1, 0.0) is None


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 500)), max_size=200))
def test_samples_stay_bounded_whatever_comes(seen: list[tuple[int, int]]) -> None:
    samples = Samples()

    for at, (organisation, key) in enumerate(seen):
        samples.note(said(f"o_{organisation}", *range(key, key + 16), at=float(at)))

    assert len(samples) <= MOST


def test_first_users_stay_bounded() -> None:
    samples = Samples()
    for key in range(_FIRST + 1):
        samples.note(said("o_1", key))

    samples.note(said("o_2", 0))
    samples.note(said("o_2", _FIRST))

    assert samples.of(0, 0.0) is None
    assert samples.of(_FIRST, 0.0) == TEXT


def test_a_linker_keeps_text_of_members_only_and_the_report_shows_it() -> None:
    seen = [
        msgspec.structs.replace(
            one, sample=f"{TEXT} {one.account}",
            keys=(*one.keys, 99) if "stranger" in one.account else one.keys,
        )
        for one in stream()
    ]  # fmt: skip
    linker = learnt(seen)

    (template,) = report_of(linker, "c_0001").templates

    assert template.sample is not None
    assert template.sample.startswith(TEXT)
    assert linker.samples.of(99, seen[-1].at) is None
    kept = {linker.samples.of(key, seen[-1].at) for one in seen for key in one.keys} - {None}
    assert kept
    assert not any("stranger" in text for text in kept if text is not None)


def test_a_linker_forgets_text_of_which_no_more_is_heard() -> None:
    seen = [msgspec.structs.replace(one, sample=TEXT) for one in stream()]
    linker = learnt(seen)

    linker.learn(msgspec.structs.replace(seen[-1], at=seen[-1].at + AGE + 3601.0, sample=None))

    assert len(linker.samples) == 0


def test_no_snapshot_holds_text() -> None:
    seen = [msgspec.structs.replace(one, sample=TEXT) for one in stream()]
    linker = learnt(seen)
    assert len(linker.samples) > 0

    data = freeze(linker, build.SECRET, saved_at=build.NOW)

    assert seen[0].account.encode() in data
    assert b"rubric" not in data
