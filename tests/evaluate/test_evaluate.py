"""The evaluation: sets are found, baselines decide, scores become tables, the README is kept."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests import build
from tests.evaluate import __main__ as evaluation
from tests.evaluate import page, readme, sweep
from tests.evaluate.ever import ever_refused
from tests.evaluate.page import LIMIT, OURS, WIDTH, Result
from tests.evaluate.runs import FIXED, STANDARD, Run, replay, width
from tests.evaluate.scores import Score, Share
from tests.evaluate.sets import (
    ROOT,
    CannotWorkError,
    Groups,
    LabelledSet,
    by_number,
    find_sets,
    groups_of,
)
from tests.evaluate.table import counted, percent, table
from tests.evaluate.width import REMEMBERED, Width
from tests.evaluate.width import main as run_width

HOUR = 3600.0


def made(path: Path, name: str = "tiny", exchanges: int = 60) -> LabelledSet:
    """A set of two accounts, a thief and a person, each sending every second."""
    folder = path / name
    folder.mkdir()
    lines = [
        {
            "id": f"x{n:07d}", "at": build.NOW + n / 2, "client_ip": "129.240.2.1",
            "account": "a_thief" if n % 2 else "a_person", "method": "POST",
            "path": "/v1/chat/completions", "headers": {},
            "body": {"model": "apex-4", "messages": [{"role": "user", "content": f"hi {n}"}]},
            "usage": {"input_tokens": 3, "output_tokens": 4},
        }
        for n in range(exchanges)
    ]  # fmt: skip
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "traffic.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    (folder / "accounts.jsonl").write_text('{"account":"a_thief","organisation":"o_1"}\n')
    (folder / "labels.csv").write_text(
        "account,label,campaign,scenario,class\na_thief,attack,c1,S1,s1\na_person,benign,,,human\n"
    )
    return LabelledSet(folder)


def share(k: int, n: int) -> dict[str, Any]:
    return {"k": k, "n": n, "share": k / n if n else None, "ci95": [0.0, 1.0]}


def score(caught: dict[str, tuple[int, int]], wronged: dict[str, tuple[int, int]]) -> Score:
    """A scorer's report with these contained accounts by scenario and by benign class."""
    shares = {name: share(*pair) for name, pair in caught.items()}
    classes = {name: share(*pair) for name, pair in wronged.items()}
    every = share(sum(k for k, _ in wronged.values()), sum(n for _, n in wronged.values()))
    taken = {"harvested": 1, "exchanges": 4, "share": 0.25}
    return msgspec.convert(
        {
            "exchanges": 8, "without_decision": 0,
            "fpr": {"overall": every, "classes": classes, "organisations": share(0, 1)},
            "benign_refused": {"overall": share(0, 9), "classes": classes},
            "tpr": {"overall": share(1, 2), "scenarios": shares,
                    "macro": sum(k / n for k, n in caught.values()) / len(caught)},
            "harvested": {"overall": taken, "scenarios": dict.fromkeys(caught, taken),
                          "macro_share": 0.25},
            "attribution": {"clusters": 1, "benign_clustered": 0, "purity": 0.995,
                            "completeness_macro": 0.5},
            "alarm": {"campaigns": 2, "alarmed": 1, "per_campaign": {
                "c1": {"seconds_to_alarm": 5400.0, "exchanges_before_alarm": 30, "exchanges": 90},
                "c2": {"seconds_to_alarm": None, "exchanges_before_alarm": 9, "exchanges": 9}}},
            "max_risk": {"auc": None},
        },
        Score,
    )  # fmt: skip


GROUPS = Groups(
    {"S1": frozenset("abc"), "S10": frozenset("d")},
    {"batch": frozenset("e"), "human": frozenset("fg")},
    {"c1": ("S1", 3), "c2": ("S10", 1)},
)


def result(**more: Any) -> Result:
    caught = score({"S10": (0, 1), "S1": (3, 3)}, {"batch": (1, 1), "human": (0, 2)})
    ours = Run(caught, frozenset("adeg"), 7000)
    return Result("dev", GROUPS, {OURS: ours, LIMIT: ours, WIDTH: ours})


class TestSets:
    def test_a_directory_of_sets_and_a_set_itself_are_found(self, tmp_path: Path) -> None:
        one = made(tmp_path, "one")
        other = made(tmp_path, "other", exchanges=6000)
        (tmp_path / "notes").mkdir()

        assert [found.name for found in find_sets(tmp_path)] == ["other", "one"]
        assert find_sets(one.path) == [one]
        assert find_sets(tmp_path, ["other"]) == [other]

    def test_where_there_is_no_traffic_the_message_says_what_to_name(self, tmp_path: Path) -> None:
        with pytest.raises(CannotWorkError, match=r"traffic\.jsonl\.gz.*(\n.*)*DATA=DIRECTORY"):
            find_sets(tmp_path / "nowhere")

    def test_a_set_that_is_not_there_is_refused_by_name(self, tmp_path: Path) -> None:
        made(tmp_path, "one")

        with pytest.raises(CannotWorkError, match=r"no set 'dev'.*there are one"):
            find_sets(tmp_path, ["dev"])

    def test_the_command_ends_with_3_where_traffic_or_scorer_is_missing(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert evaluation.main(["--data", str(tmp_path)]) == 3
        made(tmp_path)
        assert evaluation.main(["--data", str(tmp_path), "--score", str(tmp_path / "no.py")]) == 3
        assert "SCORE=score.py" in capsys.readouterr().err

    def test_labels_tell_scenarios_classes_and_the_size_of_campaigns(self, tmp_path: Path) -> None:
        assert groups_of(made(tmp_path).labels) == Groups(
            {"S1": frozenset({"a_thief"})}, {"human": frozenset({"a_person"})}, {"c1": ("S1", 1)}
        )

    def test_scenarios_are_in_the_order_of_their_numbers(self) -> None:
        assert sorted(["S10", "S2", "Sx", "S1"], key=by_number) == ["Sx", "S1", "S2", "S10"]
        assert sorted(["A10", "A2", "A1"], key=by_number) == ["A1", "A2", "A10"]


class TestWidth:
    """Template width: eight organisations, three wide requests, half of all."""

    @staticmethod
    def spread(width: Width, end: int, organisations: int, at: float = 0.0) -> None:
        for number in range(organisations):
            width.refuses(f"a{number}", f"o{number}", (end, 0), at)

    def test_an_account_is_refused_at_its_third_request_of_a_wide_template(self) -> None:
        width = Width()
        self.spread(width, 7, 8)

        said = [width.refuses("thief", "o_thief", (7, 0), 1.0) for _ in range(4)]

        assert said == [False, False, True, True]

    def test_accounts_of_seven_organisations_make_no_width(self) -> None:
        width = Width()
        self.spread(width, 7, 6)

        assert not any(width.refuses("thief", "o_thief", (7, 0), 1.0) for _ in range(10))

    def test_texts_too_short_for_a_head_are_never_wide(self) -> None:
        width = Width()
        self.spread(width, 0, 20)

        assert not any(width.refuses("thief", "o_thief", (0, 0), 1.0) for _ in range(10))

    def test_who_mostly_sends_other_things_is_let_through(self) -> None:
        width = Width()
        self.spread(width, 7, 8)

        said = [width.refuses("a", "o", (7 if n % 3 == 0 else 100 + n, 1000 + n), 1.0)
                for n in range(30)]  # fmt: skip

        assert not any(said)

    def test_organisations_not_seen_for_three_days_no_longer_count(self) -> None:
        width = Width()
        self.spread(width, 7, 8)
        later = REMEMBERED + 1.0

        assert not any(width.refuses("thief", "o_thief", (7, 0), later) for _ in range(5))

    def test_recorded_prompts_are_compared_by_their_first_and_last_eight_words(
        self, tmp_path: Path
    ) -> None:
        start = "You are a patient teacher who explains every step: "
        lines = [
            {
                "id": f"x{n:07d}", "at": build.NOW + n, "account": f"a_{n % 9}", "method": "POST",
                "path": "/v1/chat/completions", "client_ip": "129.240.2.1",
                "body": {"model": "apex-4", "messages": [
                    {"role": "user", "content": f"{start}{n} {'abcdefghi'[n % 9] * 400} {n}"}]},
            }
            for n in range(45)
        ]  # fmt: skip
        traffic, decisions = tmp_path / "traffic.jsonl", tmp_path / "decisions.jsonl"
        traffic.write_text("".join(json.dumps(line) + "\n" for line in lines))
        (tmp_path / "accounts.jsonl").write_text("")

        run_width(traffic, tmp_path / "accounts.jsonl", decisions, tmp_path / "campaigns.json")

        said = [json.loads(line)["action"] for line in decisions.read_text().splitlines()]
        assert said[:25] == ["allow"] * 25
        assert said[36:] == ["deny"] * 9
        (campaign,) = json.loads((tmp_path / "campaigns.json").read_text())
        assert len(campaign["accounts"]) == 9

    def test_refused_accounts_are_held_by_the_template_they_share(self) -> None:
        width = Width()
        for _ in range(4):
            self.spread(width, 7, 9)
        width.refuses("bystander", "o", (8, 9), 1.0)

        (campaign,) = width.campaigns()

        assert campaign["accounts"] == [f"a{n}" for n in range(9)]
        assert campaign["alarm_at"] == 0.0


#: A scorer that says what it was given, in the members this evaluation reads.
SCORER = """
import argparse, json, sys
p = argparse.ArgumentParser()
for name in ("labels", "traffic", "accounts", "decisions", "campaigns"):
    p.add_argument("--" + name)
p.add_argument("--json", action="store_true")
a = p.parse_args()
lines = [json.loads(line) for line in open(a.decisions)]
refused = sum(d["action"] in ("challenge", "throttle", "deny") for d in lines)
s = lambda k, n: dict(k=k, n=n, share=k / n if n else None, ci95=[0, 1])
h = dict(harvested=0, exchanges=1, share=0.0)
print(json.dumps(dict(
    exchanges=len(lines), without_decision=0,
    fpr=dict(overall=s(0, 1), classes={"human": s(0, 1)}),
    benign_refused=dict(overall=s(refused, len(lines)), classes={"human": s(0, 1)}),
    tpr=dict(overall=s(0, 1), scenarios={"S1": s(0, 1)}, macro=0.0),
    harvested=dict(overall=h, scenarios={"S1": h}, macro_share=0.0),
    attribution=dict(clusters=len(json.load(open(a.campaigns))), benign_clustered=0, purity=None,
                     completeness_macro=0.0),
    alarm=dict(campaigns=1, alarmed=0, per_campaign={"c1": dict(
        seconds_to_alarm=None, exchanges_before_alarm=1, exchanges=1)}),
)))
"""


@pytest.fixture
def scorer(tmp_path: Path) -> Path:
    path = tmp_path / "score.py"
    path.write_text(SCORER)
    return path


class TestRuns:
    def test_every_exchange_is_decided_by_both_policies(self, tmp_path: Path, scorer: Path) -> None:
        data = made(tmp_path, exchanges=600)

        ours, fixed = replay(data, STANDARD, scorer), replay(data, FIXED, scorer)

        assert ours.score.exchanges == fixed.score.exchanges == 600
        assert ours.trouble == ""
        assert ours.rate is not None
        assert (ours.score.benign_refused.overall.k, fixed.score.benign_refused.overall.k) == (0, 0)

    def test_who_is_refused_once_and_let_go_again_was_refused(self, tmp_path: Path) -> None:
        data = made(tmp_path, exchanges=4)
        actions = ("throttle", "allow", "restrict", "allow")
        lines = [json.dumps({"id": f"x{n:07d}", "action": a}) for n, a in enumerate(actions)]
        decisions = tmp_path / "decisions.jsonl"
        decisions.write_text("\n".join(lines))

        assert ever_refused(data.traffic, decisions) == {"a_person"}

    def test_a_linker_switched_off_learns_nothing(self) -> None:
        code = (
            "from tests.evaluate.child import switch_off; switch_off();"
            "from gateway_guard.campaigns.linker import Linker; linker = Linker();"
            "linker.learn(None); print(len(linker.campaigns()))"
        )

        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
        )

        assert done.stdout.strip() == "0"

    def test_the_width_baseline_decides_every_exchange(self, tmp_path: Path, scorer: Path) -> None:
        assert width(made(tmp_path), scorer).score.exchanges == 60

    def test_a_replay_that_fails_is_reported_with_its_last_words(
        self, tmp_path: Path, scorer: Path
    ) -> None:
        data = made(tmp_path)
        policy = tmp_path / "broken.yaml"
        policy.write_text("version: 2\n")

        with pytest.raises(CannotWorkError, match=r"broken\.yaml"):
            replay(data, policy, scorer)

    def test_a_scorer_that_says_something_else_is_reported(self, tmp_path: Path) -> None:
        scorer = tmp_path / "score.py"
        scorer.write_text("print('{}')")

        with pytest.raises(CannotWorkError, match="no report this can read"):
            width(made(tmp_path), scorer)

    def test_a_whole_evaluation_prints_three_guards_for_each_set(
        self, tmp_path: Path, scorer: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        made(tmp_path)

        code = evaluation.main(["--data", str(tmp_path), "--score", str(scorer)])

        out = capsys.readouterr().out
        assert code == 0
        for words in (OURS, LIMIT, WIDTH, "tiny: scenario", "tiny: benign class"):
            assert words in out

    def test_the_scores_are_there_for_programs_too(
        self, tmp_path: Path, scorer: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        made(tmp_path)

        evaluation.main(["--data", str(tmp_path), "--score", str(scorer), "--json"])

        sets = json.loads(capsys.readouterr().out)["sets"]
        assert sets["tiny"].keys() == {OURS, LIMIT, WIDTH}
        assert sets["tiny"][OURS]["score"]["exchanges"] == 60


class TestPage:
    def test_scenarios_show_exchanges_a_member_and_hours_before_the_alarm(self) -> None:
        lines = page.scenarios(result()).splitlines()

        assert cells(lines[2])[:7] == ["S1", "3", "100 % (0–100)", "25 %", "1 of 1", "10.0", "1.5"]
        assert cells(lines[3])[:7] == ["S10", "1", "0 % (0–100)", "25 %", "0 of 1", "–", "–"]

    def test_the_overall_line_names_the_guard_and_its_errors(self) -> None:
        lines = page.overall([result()]).splitlines()

        assert cells(lines[3])[:4] == ["dev", OURS, "50 %", "1 of 3 (0.0–100.0 %)"]
        assert cells(lines[3])[-2:] == ["1 of 2", "7,000"]

    def test_who_was_refused_at_any_time_is_counted_beside_who_is_contained(self) -> None:
        whole = page.overall([result()]).splitlines()
        by_class = page.classes(result()).splitlines()

        assert cells(whole[3])[5] == "2 of 3"
        assert [cells(line)[2] for line in by_class[2:]] == ["1", "1"]

    def test_lost_scenarios_and_wronged_classes_are_said_in_words(self) -> None:
        said = page.losses(result())

        assert "lost (under half contained): S10 (0 %)" in said
        assert "batch 1 of 1" in said

    def test_only_detailed_sets_have_tables_of_their_own(self) -> None:
        assert "dev: scenario" in page.page([result()])
        assert "dev: scenario" not in page.page([result()], detailed=[])

    def test_small_shares_keep_their_digits(self) -> None:
        assert [percent(x) for x in (0.0, 0.0005, 0.012, 0.123, 1.0, None)] == [
            "0 %", "0.05 %", "1.2 %", "12.3 %", "100 %", "–",
        ]  # fmt: skip
        assert counted(Share(2, 1998, 2 / 1998, (0.0003, 0.0036))) == "2 of 1,998 (0.03–0.36 %)"

    def test_columns_are_as_wide_as_their_widest_cell(self) -> None:
        lines = table(("a", "b"), [("long", "1"), ("x", "1,000")]).splitlines()

        assert len({len(line) for line in lines}) == 1


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


class TestSweep:
    def test_a_value_is_chosen_within_the_budget_and_reported_elsewhere(self) -> None:
        greedy = score({"S1": (4, 4)}, {"human": (50, 1000)})
        good = score({"S1": (3, 4)}, {"human": (1, 1000)})
        timid = score({"S1": (1, 4)}, {"human": (0, 1000)})
        asked = sweep.Sweep("evidence.Burden.left", "3.0", (1, 3, 9))

        said = sweep.of_scores(
            asked, {"dev": {1: greedy, 3: good, 9: timid}, "dev-b": {1: greedy, 3: greedy, 9: good}}
        )

        assert "* chosen on dev: 3; on dev-b: 100 %, benign 50 of 1,000" in said
        assert "* chosen on dev-b: 9; on dev: 25 %, benign 0 of 1,000" in said
        assert sweep.best({1: greedy}) is None

    @pytest.mark.parametrize("text", ["Burden.left", "Burden.left=", "Burden.left=a,b"])
    def test_a_sweep_without_numbers_says_what_to_write(self, text: str) -> None:
        with pytest.raises(CannotWorkError, match="NAME=v1,v2"):
            sweep.asked(text)


BEGIN, END = readme.markers(readme.RESULTS)


class TestReadme:
    def test_only_what_stands_between_the_markers_changes(self) -> None:
        text = f"before\n{BEGIN}\nold\n{END}\nafter\n"

        assert readme.replaced(text, "new\n") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"

    @pytest.mark.parametrize(
        "text",
        [
            "nothing",
            BEGIN,
            f"{END}{BEGIN}",
            f"{BEGIN}{END}{BEGIN}{END}",
        ],
    )
    def test_a_readme_without_its_markers_is_left_alone(self, text: str, tmp_path: Path) -> None:
        path = tmp_path / "README.md"
        path.write_text(text)

        with pytest.raises(CannotWorkError, match="once each"):
            readme.write("new", path)

        assert path.read_text() == text

    def test_each_block_has_markers_of_its_own(self) -> None:
        first, last = readme.markers(readme.LEFT_OUT)
        text = f"{BEGIN}\nold\n{END}\n{first}\nold\n{last}\n"

        said = readme.replaced(text, "new", readme.LEFT_OUT)

        assert said == f"{BEGIN}\nold\n{END}\n{first}\nnew\n{last}\n"

    def test_our_readme_has_its_markers(self) -> None:
        text = (ROOT / "README.md").read_text("utf-8")
        left_out = readme.LEFT_OUT_FILE.read_text("utf-8")

        assert readme.replaced(text, "x") != text
        assert readme.replaced(left_out, "x", readme.LEFT_OUT) != left_out

    def test_a_partial_evaluation_is_not_written_into_the_readme(self) -> None:
        with pytest.raises(SystemExit):
            evaluation.main(["--readme", "--sets", "dev"])
