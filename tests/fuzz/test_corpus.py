"""Every kept input, and some made from them, breaks no property; deterministic, and quick."""

from __future__ import annotations

import random
import zlib
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import registry
from tests.fuzz.mutate import mutated

pytestmark = pytest.mark.untraced

#: Inputs made up per target, blindly and by hypothesis.
_MUTATIONS: Final = 200
_EXAMPLES: Final = 60


@pytest.mark.parametrize("name", registry.NAMES)
def test_every_kept_input_and_mutations_of_it_hold(name: str) -> None:
    target = registry.load(name)
    kept = list(registry.kept(name).values())
    luck = random.Random(zlib.crc32(name.encode()))

    for data in kept:
        target(data)
    for _ in range(_MUTATIONS):
        target(mutated(luck.choice(kept), kept, registry.words(name), luck)[: registry.LONGEST])


@pytest.mark.parametrize("name", registry.NAMES)
def test_whatever_hypothesis_makes_up_holds(name: str) -> None:
    target = registry.load(name)
    words = st.sampled_from(registry.words(name))
    kept = st.sampled_from(list(registry.kept(name).values()))
    pieces = st.one_of(words, words, st.binary(max_size=8), kept.map(lambda data: data[:200]))

    @settings(
        max_examples=_EXAMPLES, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.lists(pieces, max_size=8).map(b"".join))
    def holds(data: bytes) -> None:
        target(data)

    holds()


def test_every_target_is_registered_and_has_a_corpus() -> None:
    files = {path.stem for path in (registry.CORPUS.parent / "targets").glob("*.py")}
    folders = {path.name for path in registry.CORPUS.iterdir()}

    assert files - {"__init__"} == set(registry.NAMES)
    assert folders == set(registry.NAMES)
    for name in registry.NAMES:
        assert len(registry.kept(name)) >= 10, name
        assert len(registry.words(name)) >= 10, name
