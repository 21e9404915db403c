"""`replay`: the live code on the recorded clock, in the fixed formats."""

from __future__ import annotations

import gzip
import json
import random
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway_guard.cli.replay import finish
from gateway_guard.cli.tally import Fate, Tally
from gateway_guard.cli.traffic import Malformed, Recorded, Traffic
from gateway_guard.errors import SourceError
from gateway_guard.record.line import line
from gateway_guard.types import Action, Assessment, ShadowHit, Signal
from tests import build
from tests.cli.run import ROOT, Ran, run

Capture = pytest.CaptureFixture[str]

POLICY = """
version: 1
mode: {mode}
limits:
  requests: {{ per: account, requests: {rate}/minute }}
rules:
  - name: embargo
    when: {{ country: KP }}
    then: deny
  - name: rehearsed
    mode: shadow
    when: {{ tier: free }}
    then: challenge
"""


def exchange(number: int, at: float, account: str | None = "a_1", **more: Any) -> dict[str, Any]:
    return {
        "id": f"x{number:07d}",
        "at": build.NOW + at,
        "client_ip": "129.240.2.1",
        "account": account,
        "method": "POST",
        "path": "/v1/chat/completions",
        "headers": {"user-agent": "OpenAI/Python"},
        "body": {"model": "apex-4", "messages": [{"role": "user", "content": "hello"}]},
        "usage": {"input_tokens": 3, "output_tokens": 4},
    } | more


class Bench:
    """A directory with traffic, accounts and policies, and a way to replay it."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture) -> None:
        self.path, self._monkeypatch, self._capfd = path, monkeypatch, capfd
        self.traffic = path / "traffic.jsonl"
        self.accounts = path / "accounts.jsonl"
        self.accounts.write_text(
            '{"account":"a_1","organisation":"o_1","tier":"free"}\n'
            '{"account":"a_2","organisation":"o_2","tier":"build"}\n'
        )
        self.write(*(exchange(n, n * 1.0) for n in range(5)))

    def write(self, *lines: dict[str, Any] | str) -> None:
        text = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        self.traffic.write_text("\n".join(text) + "\n")

    def policy(self, rate: int = 600, mode: str = "enforce") -> Path:
        path = self.path / f"policy-{rate}-{mode}.yaml"
        path.write_text(POLICY.format(rate=rate, mode=mode))
        return path

    def __call__(self, *more: str | Path, policy: Path | None = None) -> Ran:
        return run(
            self._monkeypatch, self._capfd, "replay", self.traffic, "--accounts", self.accounts,
            "--policy", policy or self.policy(), *more,
        )  # fmt: skip

    def json(self, *more: str | Path, policy: Path | None = None) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(self("--format", "json", *more, policy=policy).out)
        return report


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture) -> Bench:
    return Bench(tmp_path, monkeypatch, capfd)


def test_limits_run_on_the_recorded_clock(bench: Bench) -> None:
    bench.write(*(exchange(n, at) for n, at in enumerate((0, 1, 2, 3, 62, 63, 64))))

    report = bench.json(policy=bench.policy(rate=3))

    assert report["policies"][0]["actions"] == {
        "allow": 6, "restrict": 0, "challenge": 0, "throttle": 1, "deny": 0,
    }  # fmt: skip
    assert report["policies"][0]["limits"] == {"requests": 1}


def concurrent(path: Path) -> Path:
    policy = path / "concurrent.yaml"
    policy.write_text(
        "version: 1\nmode: enforce\nlimits: { in-flight: { per: account, concurrent: 1 } }\n"
    )
    return policy


def test_an_exchange_is_in_flight_while_its_answer_is_written(bench: Bench) -> None:
    long = {"input_tokens": 3, "output_tokens": 500}  # ten seconds
    bench.write(exchange(1, 0.0, usage=long), exchange(2, 9.0), exchange(3, 10.0, usage=None))

    report = bench.json(policy=concurrent(bench.path))["policies"][0]

    assert (report["actions"]["allow"], report["actions"]["throttle"]) == (2, 1)


def test_two_lines_of_one_id_are_two_exchanges(bench: Bench) -> None:
    long = {"input_tokens": 3, "output_tokens": 500}
    bench.write(*(exchange(1, float(n), account=f"a_{n}", usage=long) for n in range(3)))

    report = bench.json(policy=concurrent(bench.path))

    assert report["policies"][0]["actions"]["allow"] == 3
    assert report["failures"] == {}


def test_an_assumed_duration_is_bounded(tmp_path: Path) -> None:
    def lasting(usage: str) -> float:
        path = tmp_path / "traffic.jsonl"
        path.write_text('{"at":1,"method":"GET","path":"/","usage":' + usage + "}\n")
        with closing(Traffic(path)) as traffic:
            (line,) = traffic
        assert isinstance(line, Recorded)
        return line.duration()

    assert lasting('{"output_tokens":100}') == 2.0
    assert lasting('{"output_tokens":1000000000}') == 600.0
    assert lasting('{"output_tokens":-5}') == 0.0
    assert lasting("{}") == 0.0
    assert lasting("null") == 0.0


def test_decisions_and_campaigns_are_written_in_the_fixed_formats(bench: Bench) -> None:
    bench.write(exchange(1, 0.0), exchange(2, 1.0, client_ip="175.45.176.10"))
    decisions, campaigns = bench.path / "d.jsonl", bench.path / "c.json"

    bench("--decisions", decisions, "--campaigns", campaigns)

    assert [json.loads(line) for line in decisions.read_text().splitlines()] == [
        {"id": "x0000001", "action": "allow", "risk": 0.0, "rule": None, "campaign": None},
        {"id": "x0000002", "action": "deny", "risk": 0.0, "rule": "embargo", "campaign": None},
    ]
    assert json.loads(campaigns.read_text()) == []


def test_gzip_in_and_out_gives_the_same_decisions_byte_for_byte(bench: Bench) -> None:
    bench("--decisions", bench.path / "plain.jsonl")
    packed = bench.path / "traffic.jsonl.gz"
    packed.write_bytes(gzip.compress(bench.traffic.read_bytes()))
    bench.traffic = packed

    bench("--decisions", bench.path / "one.jsonl.gz")
    bench("--decisions", bench.path / "two.jsonl.gz")

    one, two = (bench.path / f"{name}.jsonl.gz" for name in ("one", "two"))
    assert gzip.decompress(one.read_bytes()) == (bench.path / "plain.jsonl").read_bytes()
    assert one.read_bytes() == two.read_bytes()


def test_attributes_of_the_accounts_file_reach_rules_and_tables(bench: Bench) -> None:
    bench.write(exchange(1, 0.0), exchange(2, 1.0, "a_2"), exchange(3, 2.0, None))

    policy = bench.json()["policies"][0]

    assert policy["tiers"] == {
        "build": {"exchanges": 1, "refused": 0},
        "free": {"exchanges": 1, "refused": 0},
        "unknown": {"exchanges": 1, "refused": 0},
    }
    assert policy["shadow"] == [
        {"rule": "rehearsed", "action": "challenge", "exchanges": 1, "accounts": 1}
    ]
    # The account nobody named is none.
    assert [(row["exchanges"], row["accounts"]) for row in policy["rules"]] == [(3, 2)]


def test_an_account_is_found_as_a_key_a_name_or_a_digest(bench: Bench) -> None:
    digest = "acct_" + "a" * 16
    bench.accounts.write_text(
        '{"account":"one","kind":"key","tier":"free"}\n'
        '{"account":"two","kind":"name","tier":"free"}\n'
        f'{{"account":"{digest}","tier":"free"}}\n'
    )
    bench.write(exchange(1, 0.0, "one"), exchange(2, 1.0, "two"), exchange(3, 2.0, digest))

    policy = bench.json()["policies"][0]

    assert policy["tiers"] == {"free": {"exchanges": 3, "refused": 0}}


def test_a_second_policy_shows_whom_the_two_treat_differently(bench: Bench) -> None:
    bench.write(*(exchange(n, n * 0.1, f"a_{n % 2}") for n in range(8)), exchange(9, 9.0, "a_9"))

    report = bench.json("--against", bench.policy(rate=1))

    assert report["different"]["exchanges"] == 6
    assert [row["account"] for row in report["different"]["accounts"]] == ["a_0", "a_1"]
    row = report["different"]["accounts"][0]
    assert (row["changed"], row["refused"], row["refused_against"]) == (3, 0, 3)


def test_malformed_lines_are_named_counted_and_survived(bench: Bench) -> None:
    bench.write(exchange(1, 0.0), "{", '{"at": "noon", "method": "GET", "path": "/"}', "",
                exchange(2, 1.0))  # fmt: skip

    ran = bench("--format", "json")

    assert ran.code == 1
    report = json.loads(ran.out)
    assert (report["exchanges"], report["malformed"]) == (2, 2)
    assert f"{bench.traffic}:2: error:" in ran.err
    assert f"{bench.traffic}:3: error: Expected Unix seconds" in ran.err


def test_a_thousand_malformed_lines_do_not_flood_the_terminal(bench: Bench) -> None:
    bench.write(*["{"] * 1000)

    ran = bench()

    assert ran.code == 3
    assert ran.err.count("error:") == 20
    assert "980 more lines are wrong" in ran.err


def test_a_truncated_gzip_is_replayed_as_far_as_it_goes(bench: Bench) -> None:
    whole = "".join(json.dumps(exchange(n, n * 1.0)) + "\n" for n in range(3000)).encode()
    packed = bench.path / "traffic.jsonl.gz"
    packed.write_bytes(gzip.compress(whole)[:-2000])
    bench.traffic = packed

    ran = bench("--format", "json")

    assert ran.code == 1
    assert 0 < json.loads(ran.out)["exchanges"] < 3000
    assert "cannot be read further" in ran.err


def test_lines_out_of_order_are_counted(bench: Bench) -> None:
    bench.write(exchange(1, 5.0), exchange(2, 1.0))

    assert bench.json()["out_of_order"] == 1
    assert "1 line earlier than one before" in bench().out


def test_accounts_the_file_does_not_know_are_counted(bench: Bench) -> None:
    bench.write(*(exchange(n, n * 1.0, f"a_{n}") for n in range(5)), exchange(9, 9.0, None))

    report = bench.json()["policies"][0]

    assert (report["accounts"], report["accounts_without_attributes"]) == (6, 3)
    assert "3 accounts of which the accounts file tells nothing" in bench().out


@pytest.mark.parametrize("text", ["", "\n\n", "{"])
def test_a_file_without_an_exchange_cannot_work(text: str, bench: Bench) -> None:
    bench.traffic.write_text(text)

    ran = bench()

    assert (ran.code, ran.out) == (3, "")
    assert f"{bench.traffic}: holds no exchange: replay reads JSON lines" in ran.err


def test_a_decision_log_is_recognised_in_one_line(bench: Bench) -> None:
    told = b"".join(line(build.exchange()) for _ in range(30))
    bench.traffic.write_bytes(gzip.compress(told))

    ran = bench()

    assert (ran.code, ran.out) == (3, "")
    assert ran.err.count("\n") == 1
    assert f"{bench.traffic} is a decision log" in ran.err


def test_the_policy_has_its_short_option(bench: Bench) -> None:
    bench.write(exchange(1, 0.0))

    ran = run(bench._monkeypatch, bench._capfd, "replay", bench.traffic, "-p", bench.policy(rate=5))

    assert ran.code == 0


def test_shadow_mode_counts_what_the_policy_would_do(bench: Bench) -> None:
    ran = bench(policy=bench.policy(rate=1, mode="shadow"))

    assert "in shadow mode: what it would do" in ran.out
    assert "throttle" in ran.out


def test_a_limit_stops_early(bench: Bench) -> None:
    assert bench.json("--limit", "2")["exchanges"] == 2


def test_every_table_is_printed_without_colour_into_a_pipe(bench: Bench) -> None:
    ran = bench("--against", bench.policy(rate=1), policy=bench.policy(rate=2))

    assert ran.code == 0
    for words in ("action", "rule", "limit without room", "tier", "account treated differently"):
        assert words in ran.out
    assert "\x1b[" not in ran.out
    assert ran.err == ""


@pytest.mark.parametrize("missing", ["--accounts", "--labels"])
def test_a_file_that_is_not_there_cannot_work(missing: str, bench: Bench) -> None:
    assert bench(missing, bench.path / "nothing").code == 3


@pytest.mark.parametrize("option", ["--decisions", "--campaigns"])
def test_a_file_that_cannot_be_written_cannot_work(option: str, bench: Bench) -> None:
    assert bench(option, bench.path / "nowhere" / "out").code == 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("option", ["--decisions", "--campaigns", "--snapshot"])
def test_a_disk_that_is_full_is_named_by_the_file_that_found_no_room(
    option: str, bench: Bench
) -> None:
    ran = bench(option, "/dev/full")

    assert ran.code == 3
    assert "/dev/full: No space left on device" in ran.err


@pytest.mark.parametrize("option", ["--decisions", "--campaigns", "--snapshot"])
def test_what_is_read_is_not_written_over(option: str, bench: Bench) -> None:
    before = bench.traffic.read_bytes(), bench.accounts.read_bytes()
    (bench.path / "link").hardlink_to(bench.accounts)

    for path in (bench.traffic, bench.path / "link", bench.policy()):
        ran = bench(option, path)
        assert ran.code == 2
        assert f"{option} {path} would be written over what is read" in ran.err

    assert (bench.traffic.read_bytes(), bench.accounts.read_bytes()) == before


def test_two_outputs_are_two_files_or_a_device(bench: Bench) -> None:
    both = bench.path / "both"

    ran = bench("--decisions", both, "--campaigns", both)

    assert (ran.code, both.exists()) == (2, False)
    assert f"--decisions and --campaigns name one file, {both}" in ran.err
    assert bench("--decisions", "/dev/null", "--campaigns", "/dev/null").code == 0


@pytest.mark.parametrize("name", ["nowhere/out", ""])
@pytest.mark.parametrize("option", ["--campaigns", "--snapshot"])
def test_a_file_that_cannot_be_there_is_told_before_the_work(
    option: str, name: str, bench: Bench
) -> None:
    ran = bench(option, bench.path / name, "--decisions", bench.path / "d.jsonl")

    assert ran.code == 3
    assert not (bench.path / "d.jsonl").exists()


def test_an_address_that_is_none_is_counted(bench: Bench) -> None:
    bench.write(exchange(1, 0.0, client_ip="-"), exchange(2, 1.0, client_ip=None),
                exchange(3, 2.0, client_ip="129.240.2.1:5000"))  # fmt: skip

    assert bench.json()["addresses_not_understood"] == 1
    assert "1 exchange whose client_ip is no IP address" in bench().out


def test_decisions_name_exchanges_as_the_traffic_does(bench: Bench) -> None:
    bench.write(exchange(1, 0.0, id=5), exchange(2, 1.0, id=None))

    bench("--decisions", bench.path / "d.jsonl")

    lines = (bench.path / "d.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [5, "line 2"]


def test_the_bundled_minute_shows_every_kind_of_decision(bench: Bench) -> None:
    bench.traffic = ROOT / "examples" / "traffic.jsonl.gz"
    bench.accounts = ROOT / "examples" / "accounts.jsonl"

    actions = bench.json(policy=bench.policy(rate=20))["policies"][0]["actions"]

    assert actions["allow"] > 300
    assert actions["throttle"] > 100
    assert actions["deny"] >= 4


def test_a_body_is_kept_byte_for_byte(tmp_path: Path) -> None:
    body = '{ "model":"apex-4",  "messages":[], "messages":[] }'
    path = tmp_path / "traffic.jsonl"
    path.write_text('{"at":1.5,"method":"POST","path":"/v1/messages","body":' + body + "}\n")

    with closing(Traffic(path)) as traffic:
        (line,) = traffic

    assert isinstance(line, Recorded)
    assert line.id == "line 1"
    assert line.wire(1_000).body == body.encode()
    assert line.settlement().input_tokens is None


def test_nobody_is_no_account_of_which_a_signal_was_seen() -> None:
    odd = Signal(name="odd", score=0.5, evidence="seen 5, usual are 2")
    judged = build.exchange(assessment=Assessment(signals=(odd,), risk=0.5))
    tally = Tally(build.policy(""))

    for account in ("a_1", "a_2", ""):
        tally.add(account, judged)

    assert tally.as_json()["signals"] == {"odd": {"exchanges": 3, "accounts": 2, "highest": 0.5}}


def test_whom_a_rule_met_is_told_apart_from_whom_it_rehearsed_for() -> None:
    tally = Tally(build.policy(""))
    hit = ShadowHit(rule="harvesting", action=Action.DENY)

    for account in ("a_1", "a_1", "a_2"):
        tally.add(account, build.exchange(decision=build.decision(shadow=(hit,))))
    tally.add("a_3", build.exchange(decision=build.decision(rule="harvesting", action=Action.DENY)))

    told = tally.as_json()
    assert [row["accounts"] for row in told["rules"] if row["rule"] == "harvesting"] == [1]
    assert [(row["exchanges"], row["accounts"]) for row in told["shadow"]] == [(3, 2)]


def test_names_of_headers_may_be_written_as_http_1_clients_do(bench: Bench) -> None:
    bench.write(exchange(1, 1.0, headers={"Content-Type": "text/plain", "User-Agent": "me"}))

    with closing(Traffic(bench.traffic)) as traffic:
        (line,) = traffic

    assert isinstance(line, Recorded)
    assert line.wire(1_000).headers == [(b"content-type", b"text/plain"), (b"user-agent", b"me")]


def test_a_line_too_long_of_a_truncated_gzip_is_named(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway_guard.cli.traffic.MAX_LINE", 64)
    whole = gzip.compress(random.Random(1).randbytes(200_000).replace(b"\n", b""))
    bench.traffic.write_bytes(whole[: len(whole) // 2])

    with closing(Traffic(bench.traffic)) as traffic:
        (line,) = traffic

    assert line == Malformed(1, "the file cannot be read further: it was cut short")


@pytest.mark.parametrize("at", [build.NOW * 1000, -1.0])
def test_a_time_that_nobody_means_is_no_exchange(at: float, bench: Bench, tmp_path: Path) -> None:
    bench.write(exchange(1, 1.0) | {"at": at}, exchange(2, 2.0))

    ran = bench("--snapshot", tmp_path / "snapshot")

    assert ran.code == 1
    assert "traffic.jsonl:1: error: Expected Unix seconds (milliseconds?)" in ran.err
    assert "1 line could not be read" in ran.out


def test_a_line_too_long_to_read_is_skipped_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway_guard.cli.traffic.MAX_LINE", 64)
    path = tmp_path / "traffic.jsonl"
    path.write_text("x" * 200 + '\n{"at":1,"method":"GET","path":"/"}\n')

    with closing(Traffic(path)) as traffic:
        first, second = traffic

    assert first == Malformed(1, "longer than 64 bytes")
    assert isinstance(second, Recorded)


def test_an_account_is_contained_by_its_last_ten_exchanges() -> None:
    assert Fate(exchanges=20, tail=0b11111).contained
    assert not Fate(exchanges=20, tail=0b1111).contained
    assert Fate(exchanges=2, tail=0b1).contained
    assert not Fate(exchanges=20, tail=0b111110000000000).contained


def test_a_store_that_waits_is_refused() -> None:
    async def waits() -> None:
        import asyncio

        await asyncio.sleep(0)

    with pytest.raises(SourceError, match="in memory"):
        finish(waits())
