"""Sets shown together are the same sets, side by side in time."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from tests.evaluate import __main__ as evaluation
from tests.evaluate.recording import contained
from tests.evaluate.test_evaluate import cells, made
from tests.evaluate.test_leave_out import MEMBERS, recorded
from tests.evaluate.together import merged

DAY = 86400.0
ONE = recorded()
BOTH = merged({"one": ONE, "other": ONE})
SEEN = [seen for asked in BOTH.asked for seen in asked.learnt]


def test_every_account_of_every_set_is_there_and_nobody_is_two_of_them() -> None:
    assert len(BOTH.names) == 2 * len(ONE.names)
    assert set(BOTH.names.values()) == {
        f"{which}/{name}" for which in ("one", "other") for name in ONE.names.values()
    }
    mine, theirs = (
        {
            value
            for seen in SEEN
            if seen.account.startswith(which)
            for value in (seen.account, seen.organisation, seen.payment)
        }
        for which in ("one ", "other ")
    )
    assert mine & theirs <= {None}


def test_they_begin_on_one_day_and_come_in_order() -> None:
    first = ONE.asked[1].learnt[0]

    assert len(BOTH.asked) == 2 * len(ONE.asked)
    assert all(one.at <= other.at for one, other in pairwise(SEEN))
    assert SEEN[0].at % DAY == first.at % DAY
    assert SEEN[0].at - (SEEN[0].created_at or 0) == first.at - (first.created_at or 0)


def test_what_is_contained_of_each_is_told_of_each() -> None:
    said = contained(BOTH)

    assert {name for name, held in said.items() if held} == {
        f"{which}/{name}" for which in ("one", "other") for name in MEMBERS
    }


def test_one_command_records_plays_and_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(tmp_path)
    scorer = tmp_path / "score.py"
    scorer.touch()

    code = evaluation.main(["--data", str(tmp_path), "--score", str(scorer), "--together"])

    lines = capsys.readouterr().out.splitlines()
    assert code == 0
    assert cells(lines[0])[0] == "set"
    assert cells(lines[2])[0] == "tiny"


def test_of_other_sets_than_those_asked_for_nobody_attacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(tmp_path)
    made(tmp_path, "other")
    scorer = tmp_path / "score.py"
    scorer.touch()
    asked = ["--data", str(tmp_path), "--score", str(scorer), "--together", "--attackers"]

    assert evaluation.main([*asked, "other"]) == 0
    heading, _, *rows = capsys.readouterr().out.splitlines()
    assert evaluation.main([*asked, "nobody"]) == 3

    column = cells(heading).index("among all")
    assert {cells(row)[0]: cells(row)[column] for row in rows if row} == {
        "tiny": "–",
        "other": "0 %",
    }
    assert "no set 'nobody' is shown, only" in capsys.readouterr().err


def test_attackers_are_asked_for_with_sets_together_only(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        evaluation.main(["--attackers", "dev"])

    assert "--attackers goes with --together" in capsys.readouterr().err
