"""What is made worse is what the name says, and a set made worse is a set all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway_guard.campaigns.sighting import Sighting
from tests.campaigns import build
from tests.evaluate import __main__ as evaluation
from tests.evaluate.recording import contained
from tests.evaluate.test_evaluate import cells, made
from tests.evaluate.test_leave_out import MEMBERS, recorded
from tests.evaluate.worse import WAYS

SEEN = [
    build.sighting(
        f"a{n}", organisation=f"o{n}", payment=f"p{n}", created_at=1_770_000_123.0 + 5000 * n,
        subnet=1000 + n, address=2000 + n, flags=frozenset({"proxy"}),
    )
    for n in range(400)
]  # fmt: skip

CHANGES = {
    "nothing": set(),
    "sign-ups to the hour": {"created_at"},
    "sign-ups to the day": {"created_at"},
    "sign-ups to the month": {"created_at"},
    "half of the accounts imported in one second": {"created_at"},
    "a tenth of the accounts imported in one second": {"created_at"},
    "two thirds of the accounts imported in twenty minutes": {"created_at"},
    "no sign-ups": {"created_at"},
    "a third pays by `invoice`": {"payment"},
    "payments are twelve words": {"payment"},
    "payments are a hundred words": {"payment"},
    "no payments": {"payment"},
    "no organisations": {"organisation"},
    "all come from six proxies of the operator": {"subnet", "address"},
    "no addresses": {"subnet", "address"},
    "no lists of proxies and VPNs": {"flags"},
}


def changed(way: str) -> list[Sighting]:
    return [WAYS[way](one) for one in SEEN]


def share(way: str) -> float:
    """How many of the exchanges are not as they were."""
    return sum(one != was for one, was in zip(changed(way), SEEN, strict=True)) / len(SEEN)


def test_each_way_changes_what_it_says_and_nothing_else() -> None:
    assert CHANGES.keys() == WAYS.keys()
    for way, fields in CHANGES.items():
        differ = {
            field
            for one, was in zip(changed(way), SEEN, strict=True)
            for field in Sighting.__struct_fields__
            if getattr(one, field) != getattr(was, field)
        }
        assert differ == fields, way


def test_it_does_so_to_as_many_as_it_says() -> None:
    assert share("half of the accounts imported in one second") == pytest.approx(0.5, abs=0.1)
    assert share("a tenth of the accounts imported in one second") == pytest.approx(0.1, abs=0.05)
    assert share("two thirds of the accounts imported in twenty minutes") == pytest.approx(
        2 / 3, abs=0.1
    )
    assert share("a third pays by `invoice`") == pytest.approx(1 / 3, abs=0.1)
    assert len({one.payment for one in changed("payments are twelve words")}) == 12
    assert len({one.subnet for one in changed("all come from six proxies of the operator")}) == 6


@pytest.mark.parametrize("way", ["sign-ups to the hour", "sign-ups to the day"])
def test_a_sign_up_to_a_unit_is_the_beginning_of_it(way: str) -> None:
    unit = {"sign-ups to the hour": 3600, "sign-ups to the day": 86400}[way]

    for one, was in zip(changed(way), SEEN, strict=True):
        assert one.created_at is not None
        assert was.created_at is not None
        assert one.created_at % unit == 0
        assert 0 <= was.created_at - one.created_at < unit


def test_the_linker_is_shown_what_became_of_an_exchange() -> None:
    """Without payments, sign-ups and addresses nothing ties the members of a campaign."""

    def bare(seen: Sighting) -> Sighting:
        for way in ("no sign-ups", "no payments", "no addresses"):
            seen = WAYS[way](seen)
        return seen

    assert {name for name, held in contained(recorded()).items() if held} == MEMBERS
    assert not any(contained(recorded(), shown=bare).values())


def test_one_command_records_plays_and_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(tmp_path)
    scorer = tmp_path / "score.py"
    scorer.touch()

    code = evaluation.main(["--data", str(tmp_path), "--score", str(scorer), "--worse"])

    lines = capsys.readouterr().out.splitlines()
    assert code == 0
    assert cells(lines[0])[0] == "tiny: what is wrong"
    assert [cells(line)[0] for line in lines[2 : 2 + len(WAYS)]] == list(WAYS)
