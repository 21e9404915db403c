"""A world is what the evaluation reads, and one seed makes one world."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from gateway_guard.cli.labels import read_labels
from gateway_guard.cli.traffic import Recorded, Traffic
from tests.evaluate.sets import DATA, CannotWorkError, LabelledSet, find_sets, groups_of
from tests.others import __main__ as others
from tests.others import attacks, disguised
from tests.others.casts import CASTS, Group, made
from tests.others.sources import Sources

#: A world made in half a second: accounts, days, and lines of each corpus.
SMALL, DAYS, LINES = 150, 3, 1000


@pytest.fixture(scope="module")
def sources() -> Sources:
    """What lies beside the checkout."""
    try:
        return Sources.read(DATA.parent, LINES)
    except CannotWorkError as error:
        pytest.skip(f"no prompts, addresses and headers to make a world of: {error}")


@pytest.fixture(scope="module")
def worlds(sources: Sources, tmp_path_factory: pytest.TempPathFactory) -> dict[str, LabelledSet]:
    """A small world of each cast."""
    path = tmp_path_factory.mktemp("others")
    for cast in CASTS:
        made(1, sources, SMALL, cast=cast, days=DAYS).write(path / cast)
    return {cast: LabelledSet(path / cast) for cast in CASTS}


@pytest.mark.parametrize("cast", CASTS)
def test_a_small_world_is_well_formed(worlds: dict[str, LabelledSet], cast: str) -> None:
    world = worlds[cast]
    traffic = Traffic(world.traffic)
    lines = list(traffic)
    traffic.close()
    exchanges = [line for line in lines if isinstance(line, Recorded)]
    accounts = [json.loads(line) for line in world.accounts.read_text().splitlines()]
    created = {one["account"]: one["created_at"] for one in accounts}

    assert world in find_sets(world.path.parent)
    assert len(exchanges) == len(lines) > 1000
    assert all(one.at <= two.at for one, two in pairwise(exchanges))
    assert [one.id for one in exchanges[:2]] == ["x0000001", "x0000002"]
    assert all(one.at > created[one.account or ""] for one in exchanges)
    assert all(len(bytes(one.body)) < 6_000 for one in exchanges)
    assert {one.account for one in exchanges} == set(read_labels(world.labels)) == set(created)


@pytest.mark.parametrize(
    ("cast", "letter", "campaigns", "more"),
    # In one campaign of the look-alikes are a reseller's honest customers, too.
    [("everyone", "A", attacks.CAMPAIGNS, 0), ("lookalikes", "B", disguised.CAMPAIGNS, 1)],
)
def test_every_scenario_has_a_campaign_and_every_group_its_class(
    worlds: dict[str, LabelledSet],
    cast: str,
    letter: str,
    campaigns: tuple[Group, ...],
    more: int,
) -> None:
    groups = groups_of(worlds[cast].labels)

    numbers = range(1, len(campaigns) + 1)
    assert list(groups.scenarios) == [f"{letter}{number}" for number in numbers]
    assert len(groups.campaigns) == len(campaigns)
    assert {scenario for scenario, _ in groups.campaigns.values()} == set(groups.scenarios)
    assert len(groups.classes) == len(CASTS[cast]) - len(campaigns) + more


def test_every_look_alike_has_a_class_of_its_name(worlds: dict[str, LabelledSet]) -> None:
    honest = [add for add in CASTS["lookalikes"] if add not in disguised.CAMPAIGNS]

    classes = set(groups_of(worlds["lookalikes"].labels).classes)

    assert classes == {add.__name__ for add in honest} | {"reseller"}


@pytest.mark.parametrize("cast", CASTS)
def test_one_seed_makes_the_same_bytes_and_another_does_not(
    sources: Sources, worlds: dict[str, LabelledSet], tmp_path: Path, cast: str
) -> None:
    for name, seed in (("again", 1), ("other", 2)):
        made(seed, sources, SMALL, cast=cast, days=DAYS).write(tmp_path / name)

    once, again, other = (
        [path.read_bytes() for path in (one.traffic, one.accounts, one.labels)]
        for one in (worlds[cast], LabelledSet(tmp_path / "again"), LabelledSet(tmp_path / "other"))
    )
    assert once == again
    assert all(one != two for one, two in zip(once, other, strict=True))


def test_without_data_the_command_ends_with_3_and_says_what_to_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["1", str(tmp_path / "world"), "--data", str(tmp_path)]

    assert others.main(words) == 3
    assert "--data" in capsys.readouterr().err
