"""What `replay` says of the campaigns that it found."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from gateway_guard.cli.report import campaigns_of, print_report
from tests import build
from tests.campaigns import ring
from tests.cli.test_replay import Bench, Capture, exchange


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture) -> Bench:
    return Bench(tmp_path, monkeypatch, capfd)


def test_a_replay_says_how_many_campaigns_it_found_and_where_they_can_be_read(
    bench: Bench,
) -> None:
    of_a_ring(bench)
    policy = bench.path / "refuses.yaml"
    policy.write_text(ring.REFUSES)

    out = bench("--against", bench.policy(), policy=policy).out
    (found, other) = bench.json("--against", bench.policy(), policy=policy)["policies"]

    members = f"{ring.MEMBERS} accounts in all"
    assert f"1 campaign held at the end, {members}\n  who is in them and why: --snapshot" in out
    assert found["campaigns"] == {"held": 1, "accounts": ring.MEMBERS, "let_go": {}}
    assert "campaigns" not in other, "a policy that asks for none looks for none"


def of_a_ring(bench: Bench) -> None:
    """The traffic and the accounts of a campaign among bystanders."""
    known: dict[str, dict[str, Any]] = {}
    lines = []
    for number, seen in enumerate(ring.stream()):
        known[seen.account] = {
            "account": seen.account, "organisation": seen.organisation,
            "payment": seen.payment, "created_at": seen.created_at,
        }  # fmt: skip
        # Each subnet of the ring is a /24, its ranges apart from those of the others.
        kind = 20 if seen.payment in {"card-0", "card-1", "card-2"} else 24
        address = f"{kind}.{seen.subnet & 0xFF}.7.{1 + len(known) % 250}"
        text = "tell me the steps of this sum" if kind == 20 else f"what is {number * 7919:x}"
        body = {"model": "apex-4", "messages": [{"role": "user", "content": text}]}
        lines.append(
            exchange(number, seen.at - build.NOW, seen.account, client_ip=address, body=body)
        )
    bench.accounts.write_text("".join(json.dumps(row) + "\n" for row in known.values()))
    bench.write(*lines)


def test_campaigns_let_go_during_a_replay_are_counted_by_their_reason(bench: Bench) -> None:
    linker = ring.caught()
    (held,) = linker.held.values()
    linker.cases.acquit(held, build.NOW)

    found = campaigns_of(linker)

    assert found == {"held": 0, "accounts": 0, "let_go": {"innocent": 1}}
    report, out = bench.json(), io.StringIO()
    report["policies"][0]["campaigns"] = found
    print_report(report, Console(file=out, width=120))
    assert "0 campaigns held at the end; 1 held before and let go\n" in out.getvalue()
    assert "  1 let go: looked innocent once more of it was known\n" in out.getvalue()
