"""Groups are left out one at a time, and what is chosen on the rest is tried where it was not."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import pytest

from gateway_guard.campaigns.evidence import Burden
from gateway_guard.campaigns.sighting import Sighting
from tests.campaigns import ring
from tests.evaluate import __main__ as evaluation
from tests.evaluate import leave_out
from tests.evaluate.leave_out import Caught, Fit, chosen, each, fit, fitted, of_set
from tests.evaluate.recording import NEVER, Asked, Recording, Told, contained, read, told
from tests.evaluate.runs import STANDARD, record
from tests.evaluate.scores import share_of
from tests.evaluate.sets import CannotWorkError
from tests.evaluate.test_evaluate import GROUPS, cells, made


def found(caught: dict[str, tuple[int, int]], wronged: dict[str, tuple[int, int]]) -> Caught:
    """Contained accounts (k of n) by scenario and by benign class."""
    return Caught(
        {name: share_of(*pair) for name, pair in caught.items()},
        {name: share_of(*pair) for name, pair in wronged.items()},
    )


def recorded(*, refused_from: float = 0.95) -> Recording:
    """The campaign and the bystanders of `ring`, each exchange decided before it is learnt."""
    asked: list[Asked] = []
    names: dict[str, str] = {}
    before: tuple[Sighting, ...] = ()
    for seen in ring.stream():
        names[seen.account] = seen.account.replace("acct_", "n_")
        asked.append(Asked(seen.account, refused_from, before))
        before = (seen,)
    return Recording(names, asked)


MEMBERS = {ring.account("a", number).replace("acct_", "n_") for number in range(ring.MEMBERS)}


class TestRecording:
    def test_a_campaign_is_contained_and_nobody_else(self) -> None:
        said = contained(recorded())

        assert {name for name, held in said.items() if held} == MEMBERS
        assert len(said) == ring.MEMBERS + ring.BYSTANDERS

    def test_who_was_refused_at_any_time_was_so_before_it_was_contained(self) -> None:
        said = told(recorded())

        assert {name for name, one in said.items() if one.ever} == MEMBERS
        assert {name for name, one in said.items() if one.contained} == MEMBERS
        assert not Told(deque([False] * 9 + [True]), ever=True).contained

    def test_who_is_left_out_neither_teaches_nor_counts(self) -> None:
        few = set(sorted(MEMBERS)[:3])

        said = contained(recorded(), without=MEMBERS - few)

        assert not any(said.values())
        assert said.keys() & MEMBERS == few

    def test_the_burden_asked_for_is_the_one_that_must_be_met(self) -> None:
        assert not any(contained(recorded(), burden=Burden(left=1000.0)).values())

    def test_where_the_policy_never_refuses_nobody_is_contained(self) -> None:
        assert not any(contained(recorded(refused_from=NEVER)).values())

    def test_where_the_policy_always_refuses_everybody_is(self) -> None:
        assert all(contained(recorded(refused_from=0.0)).values())

    def test_a_replay_writes_what_it_would_have_learnt_and_what_that_would_change(
        self, tmp_path: Path
    ) -> None:
        data = made(tmp_path, exchanges=60)

        recording = read(record(data, STANDARD, tmp_path / "r.msgpack"))

        assert set(recording.names.values()) == {"a_thief", "a_person"}
        assert len(recording.asked) == 60
        # standard.yaml asks from 0.95 on to verify.
        assert {one.refused_from for one in recording.asked} == {0.95}
        learnt = [seen for one in recording.asked for seen in one.learnt]
        assert {seen.organisation for seen in learnt} == {"o_1", None}
        assert [seen.at for seen in learnt] == sorted(seen.at for seen in learnt)


class TestTables:
    def test_every_scenario_and_class_is_left_out_once(self) -> None:
        assert each(GROUPS) == ["S1", "S10", "batch", "human"]

    def test_what_is_left_out_counts_neither_in_the_macro_nor_among_the_benign(self) -> None:
        whole = found({"S1": (3, 3), "S2": (0, 4)}, {"batch": (1, 10), "human": (0, 90)})

        assert (whole.macro, whole.without("S2").macro) == (0.5, 1.0)
        assert (whole.benign.k, whole.without("batch").benign.k) == (1, 0)
        assert whole.without("batch").benign.n == 90

    def test_a_result_that_hangs_on_one_class_is_seen(self) -> None:
        whole = found({"S1": (3, 3), "S2": (4, 4)}, {"batch": (1, 10), "human": (0, 90)})
        without = found({"S1": (3, 3), "S2": (1, 4)}, {"human": (5, 90)})

        lines = of_set("dev", {None: whole, "batch": without}).splitlines()

        assert cells(lines[2])[:4] == ["batch", "10 % of 10", "62.5 %", "100 %"]
        assert cells(lines[2])[4].startswith("5 of 90")

    def test_the_value_that_contains_most_within_the_budget_is_chosen(self) -> None:
        greedy = found({"S1": (4, 4)}, {"human": (3, 1000)})
        good = found({"S1": (3, 4)}, {"human": (2, 1000)})
        as_good = found({"S1": (3, 4)}, {"human": (1, 1000)})
        timid = found({"S1": (1, 4)}, {"human": (0, 1000)})

        assert chosen({1: greedy, 2: good, 3: as_good, 9: timid}, now=2) == 3
        assert chosen({1: greedy}, now=1) is None

    def test_of_equal_values_the_one_in_force_stays(self) -> None:
        same = found({"S1": (3, 4)}, {"human": (0, 1000)})

        assert chosen({1: same, 3.5: same, 5: same}, now=3.5) == 3.5

    def test_what_is_chosen_without_a_group_is_tried_on_it_and_on_the_other_set(self) -> None:
        class_full = {"human": (0, 100)}
        low = found({"S1": (4, 4), "S2": (2, 4)}, {"human": (9, 100)})
        high = found({"S1": (4, 4), "S2": (1, 4)}, class_full)
        runs = {
            "dev": {
                1.0: {None: low, "S2": found({"S1": (4, 4)}, class_full)},
                5.0: {None: high, "S2": found({"S1": (3, 4)}, class_full)},
            },
            "dev-b": {1.0: {None: low, "S2": low}, 5.0: {None: high, "S2": high}},
        }

        lines = fitted("dev", Fit("left", (1.0, 5.0)), runs).splitlines()

        assert cells(lines[2])[:3] == ["(nothing)", "5", "62.5 %"]
        row = cells(lines[3])
        assert row[:3] == ["S2", "1", "100 %"]
        assert row[4:6] == ["50 % of 4", "75 %"]
        assert row[6].startswith("9 of 100")

    def test_where_no_value_keeps_to_the_budget_it_says_so(self) -> None:
        greedy = found({"S1": (4, 4)}, {"human": (50, 100)})

        assert "none keeps to 2 benign" in fitted("dev", Fit("left", (1.0,)), {
            "dev": {1.0: {None: greedy}}
        })  # fmt: skip


class TestCommand:
    @pytest.mark.parametrize(
        ("text", "words"),
        [("leeft=1,2", "no 'leeft' in Burden"), ("left", "write NAME=v1"),
         ("left=a", "write NAME=v1")],
    )  # fmt: skip
    def test_a_fit_of_nothing_says_what_to_write(self, text: str, words: str) -> None:
        with pytest.raises(CannotWorkError, match=words):
            fit(text)

    def test_a_field_is_named_with_or_without_its_class(self) -> None:
        assert fit("Burden.left=1,2") == fit("left=1,2") == Fit("left", (1.0, 2.0))

    def test_what_is_tried_by_itself_has_the_value_in_force_among_it(self) -> None:
        asked = fit(leave_out.USUAL_FIT)

        assert getattr(Burden(), asked.name) in asked.values

    def test_one_command_records_plays_and_prints(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        made(tmp_path)
        scorer = tmp_path / "score.py"
        scorer.touch()

        code = evaluation.main(
            ["--data", str(tmp_path), "--score", str(scorer), "--leave-out", "--fit", "left=2,3.5"]
        )

        lines = capsys.readouterr().out.splitlines()
        assert code == 0
        assert cells(lines[0])[0] == "tiny: left out"
        assert [cells(line)[0] for line in lines[2:4]] == ["S1", "human"]
        assert cells(lines[5])[:2] == ["tiny: left out", "left"]

    def test_a_fit_without_leaving_out_is_refused(self) -> None:
        with pytest.raises(SystemExit):
            evaluation.main(["--fit"])
