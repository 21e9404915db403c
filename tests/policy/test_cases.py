"""Policy tests run, and can fail."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway_guard.cli import build_app
from gateway_guard.errors import PolicyError
from gateway_guard.policy.cases import run_cases
from gateway_guard.policy.codes import CODES
from gateway_guard.policy.compile import check_policy

POLICIES = Path(__file__).parent.parent.parent / "policies"
SHIPPED = sorted(path for path in POLICIES.glob("*.yaml") if ".test." not in path.name)
POLICY = (
    "version: 1\nmode: enforce\nrules:\n  - { name: embargo, when: { country: KP }, then: deny }\n"
)


#: Where accounts verify themselves is their operator's to fill in.
WARNED = {"standard": ["GG310"]}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_policy_loads_as_it_says_and_passes_its_tests(path: Path) -> None:
    policy, findings = check_policy(path.read_bytes(), path.name)
    ran = run_cases(path.with_suffix(".test.yaml"))

    assert policy is not None
    assert [finding.code for finding in findings] == WARNED.get(path.stem, [])
    assert ran.cases
    assert [(case.it, case.wrong) for case in ran.cases if not case.passed] == []


def test_no_weight_of_the_standard_policy_reaches_a_refusing_rule() -> None:
    path = POLICIES / "standard.yaml"

    policy, _ = check_policy(path.read_bytes(), path.name)

    assert policy is not None
    assert len(policy.signals) == 7
    alone = [w.weight * getattr(w.detector, "ceiling", 1.0) for w in policy.signals]
    assert max(alone) < 0.5


def write(tmp_path: Path, cases: str) -> Path:
    (tmp_path / "p.yaml").write_text(POLICY)
    path = tmp_path / "p.test.yaml"
    path.write_text(f"policy: p.yaml\ncases:\n{cases}")
    return path


def test_a_case_that_fails_says_which_stated_score_no_request_has(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(
        "version: 1\nmode: enforce\nsignals: { volume-shift: { weight: 0.9 } }\nrules:\n"
        "  - { name: much, when: { risk: { min: 0.44 } }, then: deny }\n"
    )
    path = tmp_path / "p.test.yaml"
    cases = (
        f"  - {{ it: '{score}', given: {{ signal: {{ volume-shift: {score} }} }}, expect: {{ rule: "
        f"{rule} }} }}\n"
        for score, rule in ((0.8, "default"), (0.8, "much"), (0.4, "much"))
    )
    path.write_text("policy: p.yaml\ncases:\n" + "".join(cases))

    high, right, low = (case.wrong for case in run_cases(path).cases)

    assert high[1:] == ("signal: of volume-shift, 0.5 is the most it scores",)
    assert right == ()
    assert len(low) == 1


def test_a_case_that_fails_says_what_it_got(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "  - it: is wrong\n    given: { country: KP }\n"
        "    expect: { action: allow, rule: default, status: 451, acted: false }\n",
    )

    case = run_cases(path).cases[0]

    assert case.wrong == (
        "action: expected allow, got deny",
        "rule: expected default, got embargo",
        "status: expected 451, got 403",
        "acted: expected false, got true",
    )
    assert case.where.endswith("p.test.yaml:3")


def test_a_test_of_a_policy_that_does_not_load_does_not_load(tmp_path: Path) -> None:
    path = write(tmp_path, "  - it: a\n    expect: { action: allow }\n")
    (tmp_path / "p.yaml").write_text("version: 2\n")

    with pytest.raises(PolicyError, match="GG214"):
        run_cases(path)


def test_the_command_test_prints_each_case_and_the_difference(tmp_path: Path) -> None:
    write(
        tmp_path,
        "  - it: refuses\n    given: { country: KP }\n    expect: { action: deny }\n"
        "  - it: is wrong\n    given: { country: NO }\n    expect: { action: deny }\n",
    )

    result = CliRunner().invoke(build_app("test", "check"), ["test", str(tmp_path)])

    assert result.exit_code == 1
    assert "  ok    refuses\n  FAIL  is wrong\n" in result.output
    assert "action: expected deny, got allow" in result.output
    assert result.output.endswith("1 passed, 1 failed\n")


def test_the_command_test_without_tests_is_a_mistake_of_usage(tmp_path: Path) -> None:
    result = CliRunner().invoke(build_app("test", "check"), ["test", str(tmp_path)])

    assert result.exit_code == 2


def test_the_command_check_says_what_a_clean_policy_does() -> None:
    path = POLICIES / "standard.yaml"

    result = CliRunner().invoke(build_app("check", "test"), ["check", str(path)])

    assert result.exit_code == 0
    assert "enforces 8 rules, 5 limits and 7 signals; default allow" in result.output


def test_the_command_check_gives_findings_as_json(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("version: 1\nmoed: enforce\n")

    result = CliRunner().invoke(
        build_app("check", "test"), ["check", "--format", "json", str(path)]
    )

    assert result.exit_code == 1
    (report,) = json.loads(result.output)
    assert report["errors"] == 1
    assert report["findings"][0] | {"message": "", "hint": ""} == {
        "code": "GG201", "severity": "error", "message": "", "hint": "", "line": 2, "column": 1,
        "width": 4,
    }  # fmt: skip


def test_the_command_check_cannot_work_without_the_file(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        build_app("check", "test"), ["check", str(tmp_path / "nowhere.yaml")]
    )

    assert result.exit_code == 3


@pytest.mark.parametrize("code", CODES)
def test_the_command_rule_explains_every_code(code: str) -> None:
    result = CliRunner().invoke(build_app("rule", "test"), ["rule", code.lower()])

    assert result.exit_code == 0
    assert CODES[code].title in result.output


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_command_rule_puts_every_rule_and_limit_in_words(path: Path) -> None:
    policy, _ = check_policy(path.read_bytes(), str(path))
    assert policy is not None

    names = [rule.name for rule in policy.rules] + [limit.name for limit in policy.limits]
    for name in names:
        result = CliRunner().invoke(
            build_app("rule", "test"), ["rule", name, "--policy", str(path)]
        )
        assert result.exit_code == 0
        assert result.output.startswith(f"{name}: ")


def test_the_command_rule_knows_no_other_name() -> None:
    result = CliRunner().invoke(build_app("rule", "test"), ["rule", "GG999"])

    assert result.exit_code == 2


def cases_of(tmp_path: Path, text: str) -> Path:
    (tmp_path / "p.yaml").write_text(POLICY + "limits: { r: { per: account, requests: 9/hour } }\n")
    path = tmp_path / "p.test.yaml"
    path.write_text(f"policy: p.yaml\ncases:\n{text}")
    return path


def test_a_case_can_expect_that_a_limit_is_not_charged(tmp_path: Path) -> None:
    path = cases_of(
        tmp_path,
        "  - { it: is free, given: { country: KP }, expect: { limits: { r: none } } }\n"
        "  - { it: is not, given: { country: NO }, expect: { limits: { r: none } } }\n"
        "  - { it: is free too, given: { country: KP }, expect: { limits: { r: 9 } } }\n",
    )

    free, charged, refused = run_cases(path).cases

    assert free.passed
    assert charged.wrong == ("limits: expected r not charged, got 9",)
    assert refused.wrong == ("limits: expected r 9, got not charged",)


def test_the_command_test_finds_the_tests_beside_a_policy() -> None:
    result = CliRunner().invoke(
        build_app("check", "test"), ["test", str(POLICIES / "minimal.yaml")]
    )

    assert result.exit_code == 0
    assert "4 passed, 0 failed" in result.output


def test_the_command_test_says_where_the_tests_of_a_policy_belong(tmp_path: Path) -> None:
    path = tmp_path / "lonely.yaml"
    path.write_text(POLICY)

    result = CliRunner().invoke(build_app("check", "test"), ["test", str(path)])

    assert result.exit_code == 2
    assert "lonely.test.yaml" in result.output


def test_the_command_check_reads_every_policy_of_a_directory(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "good.yaml").write_text(POLICY)
    (tmp_path / "below" / "bad.yaml").write_text("version: 1\nmoed: enforce\n")

    result = CliRunner().invoke(build_app("check", "test"), ["check", str(tmp_path)])

    assert result.exit_code == 1
    assert "good.yaml: enforces 1 rule" in result.output
    assert "bad.yaml:2:1: error[GG201]" in result.output


def test_the_command_check_wants_something_to_check(tmp_path: Path) -> None:
    result = CliRunner().invoke(build_app("check", "test"), ["check", str(tmp_path)])

    assert result.exit_code == 2


def test_what_a_case_does_not_state_follows_from_its_path(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(
        "version: 1\nmode: enforce\ndefault: deny\n"
        "identify: { model_routes: [/llm/*] }\n"
        "rules:\n"
        "  - name: page\n    when: { model_route: false, model: unknown, body: none }\n"
        "    then: allow\n"
        "  - { name: own, when: { path: /llm/*, body: full, model: '*' }, then: allow }\n"
        "  - { name: gemini, when: { dialect: other, body: full, model: '*' }, then: allow }\n"
    )
    path = tmp_path / "p.test.yaml"
    path.write_text(
        "policy: p.yaml\ncases:\n"
        "  - { it: page, given: { path: /healthz, method: GET }, expect: { rule: page } }\n"
        "  - { it: own, given: { path: /llm/x }, expect: { rule: own } }\n"
        "  - { it: gemini, given: { path: '/v1/models/m:generateContent' }, "
        "expect: { rule: gemini } }\n"
    )

    ran = run_cases(path)

    assert [case.wrong for case in ran.cases] == [(), (), ()]


@pytest.mark.parametrize("path", ["/a;b", "/a/../b", "/a//b", "/a%2Fb"])
def test_a_case_about_a_path_no_rule_ever_sees_is_an_error(tmp_path: Path, path: str) -> None:
    file = cases_of(
        tmp_path, f"  - {{ it: x, given: {{ path: '{path}' }}, expect: {{ action: deny }} }}\n"
    )

    with pytest.raises(PolicyError, match="GG219"):
        run_cases(file)


@pytest.mark.parametrize(
    ("files", "said"), [(1, "the file does not load"), (2, "1 of 2 files does not load")]
)
def test_the_command_test_counts_files_that_do_not_load(
    tmp_path: Path, files: int, said: str
) -> None:
    if files == 2:
        write(tmp_path, "  - it: allows\n    expect: { action: allow }\n")
    (tmp_path / "empty.test.yaml").touch()

    result = CliRunner().invoke(build_app("test", "check"), ["test", str(tmp_path)])

    assert result.exit_code == 3
    assert result.output.endswith(f", {said}\n")


def test_a_large_or_a_small_quota_is_told_to_the_last_unit(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(
        "version: 1\nmode: enforce\nlimits:\n"
        "  large: { per: account, tokens: 1500000/day }\n"
        "  small: { per: account, requests: 5/minute, adapt: { age: { 7 days: 10% } } }\n"
    )
    path = tmp_path / "p.test.yaml"
    path.write_text(
        "policy: p.yaml\ncases:\n  - it: is new\n    given: { account_age: 1 day }\n"
        "    expect: { limits: { large: 1500001, small: 0.5 } }\n"
    )

    (result,) = run_cases(path).cases

    assert result.wrong == ("limits: expected large 1500001, got 1500000",)


def test_a_case_that_expects_a_limit_to_refuse_is_told_what_it_can_expect(tmp_path: Path) -> None:
    path = write(tmp_path, "  - { it: is throttled, expect: { rule: 'limit:requests' } }\n")

    with pytest.raises(PolicyError, match="nothing is used up in a case"):
        run_cases(path)


def test_a_policy_that_is_not_there_is_told_where_it_is_named(tmp_path: Path) -> None:
    path = tmp_path / "p.test.yaml"
    path.write_text("policy: nowhere.yaml\ncases:\n  - { it: a, expect: { action: allow } }\n")

    with pytest.raises(PolicyError) as caught:
        run_cases(path)

    said = str(caught.value)
    assert said.startswith(f"{path}:1:9: error[GG101]: the policy under test, ")
    assert "nowhere.yaml, cannot be read: no such file or directory" in said


def test_a_case_that_names_no_limit_expects_nothing_of_limits(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "  - it: seems to look at limits\n    given: { country: KP }\n    expect: { limits: {} }\n",
    )

    with pytest.raises(PolicyError, match="the case expects nothing of limits"):
        run_cases(path)


def test_a_case_states_a_prompt_in_whatever_words_and_phrases_are_found_as_in_requests(
    tmp_path: Path,
) -> None:
    (tmp_path / "p.yaml").write_text(
        "version: 1\nmode: enforce\nrules:\n"
        "  - { name: said, when: { prompt: ignore all rules }, then: deny }\n"
    )
    path = tmp_path / "p.test.yaml"
    path.write_text(
        "policy: p.yaml\ncases:\n"
        "  - { it: a, given: { prompt: 'IGNORE  all rules, now' }, expect: { rule: said } }\n"
        "  - { it: b, given: { prompt: [hello, ignore all rules] }, expect: { rule: said } }\n"
        "  - { it: c, given: { prompt: 'ignore all the rules' }, expect: { rule: default } }\n"
    )

    ran = run_cases(path)

    assert [case.wrong for case in ran.cases] == [(), (), ()]


def test_a_case_states_what_people_and_challenges_made_of_an_account(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(
        "version: 1\nmode: enforce\nrules:\n"
        "  - { name: who, when: { network: tor }, then: challenge, url: 'https://a.example/v' }\n"
        "  - { name: met, when: { verified: true }, then: restrict, with: { n: 1 } }\n"
    )
    path = tmp_path / "p.test.yaml"
    path.write_text(
        "policy: p.yaml\ncases:\n"
        "  - { it: a, given: { network: tor, verified: true }, expect: { rule: who } }\n"
        "  - { it: b, given: { network: tor, standing: vouched }, expect: { rule: met } }\n"
        "  - { it: c, given: { standing: challenged }, expect: { rule: 'guard:challenge' } }\n"
        "  - { it: d, given: { standing: banned }, expect: { rule: 'guard:ban' } }\n"
    )

    ran = run_cases(path)

    assert [case.wrong for case in ran.cases] == [(), (), (), ()]


def test_a_case_states_whether_a_rollout_has_come_to_the_account(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(
        "version: 1\nmode: enforce\nrules:\n"
        "  - { name: hidden, when: { network: tor }, then: deny, rollout: 1% }\n"
        "  - { name: far, when: { country: KP }, then: deny }\n"
    )
    path = tmp_path / "p.test.yaml"
    path.write_text(
        "policy: p.yaml\ncases:\n"
        "  - { it: a, given: { network: tor, rolled_out: true }, expect: { rule: hidden } }\n"
        "  - it: b\n    given: { network: tor, rolled_out: false }\n"
        "    expect: { rule: default, shadow: [hidden] }\n"
        "  - it: c\n    given: { country: KP, rolled_out: false }\n"
        "    expect: { rule: far, acted: true }\n"
    )

    ran = run_cases(path)

    assert [case.wrong for case in ran.cases] == [(), (), ()]


def test_a_case_states_whether_the_rollout_of_the_policy_has_come_to_the_account(
    tmp_path: Path,
) -> None:
    (tmp_path / "p.yaml").write_text(
        "version: 1\nmode: enforce\nrollout: 50%\n"
        "rules: [{ name: far, when: { country: KP }, then: deny }]\n"
    )
    path = tmp_path / "p.test.yaml"
    path.write_text(
        "policy: p.yaml\ncases:\n"
        "  - { it: a, given: { country: KP, rolled_out: true }, expect: { acted: true } }\n"
        "  - { it: b, given: { country: KP, rolled_out: false }, expect: { acted: false } }\n"
    )

    ran = run_cases(path)

    assert [case.wrong for case in ran.cases] == [(), ()]
