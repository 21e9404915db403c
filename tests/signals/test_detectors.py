"""What every detector promises, ours and third parties'."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gateway_guard.signals as signals
from gateway_guard.core.profile import observe, observe_usage
from gateway_guard.errors import SettingsError
from gateway_guard.signals import DETECTORS, detectors
from gateway_guard.signals.base import Detector
from gateway_guard.signals.profile import Profile
from gateway_guard.types import (
    AccountFacts,
    Client,
    Facts,
    Held,
    NetworkFacts,
    PromptShape,
    Request,
    RoleShape,
    Signal,
    Usage,
)
from tests import build

ALL = sorted(DETECTORS)
SECTIONS = ("What it sees:", "Why:", "Score:", "False positives:", "Evasion:", "Source:")

digests = st.sampled_from([0, 1, 2**32, 2**63 + 5, 2**64 - 1]) | st.integers(0, 2**64 - 1)
countries = st.sampled_from(["NO", "US", "VN", "ZZ", "", "CN", None])
flags = st.frozensets(st.sampled_from(["hosting", "vpn", "tor"]), max_size=1)
steps = st.sampled_from([0.0, 0.001, 1.0, 60.0, 3600.0, 90_000.0, -5.0, -1e6, 1e9])
networks = st.builds(
    NetworkFacts,
    country=countries,
    asn=st.sampled_from([None, 0, 64500, 2**32 - 1, 2**40]),
    flags=flags,
    known=st.booleans(),
)
roles = st.builds(
    RoleShape,
    role=st.sampled_from(["system", "user", "tool"]),
    head=digests,
    tail=digests,
    skeleton=digests,
    chars=st.integers(0, 10**9),
)
prompts = st.none() | st.builds(
    PromptShape,
    roles=st.lists(roles, max_size=2).map(tuple),
    shingles=st.lists(digests, max_size=64).map(tuple),
    elicitation=st.lists(st.sampled_from(["hidden-reasoning", "unheard-of"])).map(tuple),
    n=st.integers(1, 128),
    logprobs=st.booleans(),
    input_tokens=st.integers(0, 10**9),
)
clients = st.builds(
    Client,
    languages=st.lists(st.sampled_from(["CN", "NO", "ZZ"]), max_size=3).map(tuple),
    utc_offset=st.none() | st.integers(-100_000, 100_000),
)
events = st.lists(
    st.tuples(steps, st.integers(1, 40), networks, prompts, clients, countries), max_size=12
)


@pytest.mark.parametrize("name", ALL)
def test_a_detector_is_frozen_slotted_and_named_as_policies_spell_it(name: str) -> None:
    cls = DETECTORS[name]
    detector = cls()

    assert isinstance(detector, Detector)
    assert cls.name == name
    assert not hasattr(detector, "__dict__")
    assert cls.__dataclass_params__.frozen  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ALL)
def test_the_manual_page_has_every_section_and_every_parameter(name: str) -> None:
    cls: Any = DETECTORS[name]
    page = inspect.getdoc(cls) or ""

    assert all(section in page for section in SECTIONS)
    _, _, attributes = page.partition("Attributes:")
    for field in dataclasses.fields(cls):
        assert field.name in attributes


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, "many", None])
def test_no_parameter_takes_nonsense(name: str, value: object) -> None:
    cls: Any = DETECTORS[name]

    for field in dataclasses.fields(cls):
        with pytest.raises(ValueError, match=field.name):
            cls(**{field.name: value})


@given(events=events)
@settings(max_examples=150, deadline=None)
def test_whatever_happens_scores_stay_in_bounds_and_nothing_raises(events: list[Any]) -> None:
    every = [cls() for cls in DETECTORS.values()]
    profile = Profile(held=Held())
    at = build.NOW

    for step, times, network, prompt, client, declared in events:
        for _ in range(times):
            at = max(0.0, at + step)
            one = build.request(at=at, prompt=prompt, client=client)
            known = Facts(network=network, account=AccountFacts(country=declared), profile=profile)
            for detector in every:
                signal = detector.look(one, known)
                if signal is not None:
                    assert 0.0 <= signal.score <= 1.0
                    assert bool(signal.evidence) == (signal.score > 0.0)
                    assert signal.name == detector.name
            observe(profile, one, known)
            observe_usage(profile, one, Usage(output_tokens=10))


class _Theirs:
    name: ClassVar[str] = "theirs"

    def look(self, request: Request, facts: Facts) -> Signal | None:
        return None


def _offer(monkeypatch: pytest.MonkeyPatch, **points: str) -> None:
    every = EntryPoints(
        EntryPoint(name=name, value=value, group=signals.GROUP) for name, value in points.items()
    )
    monkeypatch.setattr(signals, "entry_points", lambda group: every)


@pytest.fixture(autouse=True)
def _fresh_table() -> Iterator[None]:
    detectors.cache_clear()

    yield

    detectors.cache_clear()


def test_a_third_party_s_detector_stands_beside_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    _offer(monkeypatch, theirs=f"{__name__}:_Theirs")

    table = detectors()

    assert list(table) == [*DETECTORS, "theirs"]
    assert isinstance(table["theirs"](), _Theirs)
    assert detectors() is table


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("template-sweep", f"{__name__}:_Theirs", "the name is taken"),
        ("theirs", "no.such.module:Class", "cannot be imported"),
        ("theirs", f"{__name__}:ALL", "is no class with `look`"),
        ("mine", f"{__name__}:_Theirs", "calls itself 'theirs'"),
    ],
)
def test_a_broken_offer_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, complaint: str
) -> None:
    _offer(monkeypatch, **{name: value})

    with pytest.raises(SettingsError, match=complaint):
        detectors()
