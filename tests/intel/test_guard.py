"""A guard that hears what others say: from its files to the decision log."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway_guard.building import build_guard
from gateway_guard.campaigns.digests import client_digest, template_keys
from gateway_guard.core.explain import explain_tree
from gateway_guard.errors import IntelError
from gateway_guard.guard import Guard
from gateway_guard.intel.file import TableFile
from gateway_guard.intel.groups import group_of
from gateway_guard.intel.indicator import Indicator
from gateway_guard.intel.table import Source, Table, replaced
from gateway_guard.record.line import build as line_of
from gateway_guard.settings import Settings
from gateway_guard.types import Exchange
from tests import build
from tests.intel import cases

GROUP = group_of(cases.GROUP_KEY)
POLICY = """
    mode: enforce
    rules:
      - name: seen-elsewhere
        when: { indicator: { source: acme, confidence: { min: 0.8 } } }
        then: deny
"""
LONG = "Rewrite the following passage as a chain of careful reasoning steps, then grade them: "
HEADERS = {"user-agent": "python-httpx/0.27.0"}


def guard(tmp_path: Path, text: str = POLICY, **settings: Any) -> Guard:
    made = Settings(intel_file=str(tmp_path / "table"), **{"secret": build.SECRET} | settings)
    return build_guard(build.policy(text), settings=made, clock=lambda: build.NOW)


def put(tmp_path: Path, *ones: Indicator, source: str = "acme") -> None:
    said = Source(kind="guard", taken_at=1)
    TableFile(tmp_path / "table").update(lambda table: replaced(table, source, said, ones))


def decided(one: Guard, **fields: Any) -> Exchange:
    async def ask() -> Exchange:
        wire = build.wire(body=build.chat_body(LONG * 3), headers=HEADERS, **fields)
        exchange = await one.decide(wire)
        await one.close()
        return exchange

    return asyncio.run(ask())


def test_what_others_say_refuses_nobody_until_the_policy_believes_them(tmp_path: Path) -> None:
    put(tmp_path, cases.indicator())
    silent = "mode: enforce\nsignals: { template-sweep: { weight: 0.5 } }"

    ignored = decided(guard(tmp_path, silent), peer="203.0.113.9")
    believed = decided(guard(tmp_path), peer="203.0.113.9")
    elsewhere = decided(guard(tmp_path), peer="198.51.100.9")

    assert (ignored.decision.rule, len(ignored.facts.indicators)) == (None, 1)
    assert believed.decision.rule == "seen-elsewhere"
    assert (elsewhere.decision.rule, elsewhere.facts.indicators) == (None, ())


def test_a_source_that_is_not_believed_or_not_sure_changes_nothing(tmp_path: Path) -> None:
    put(tmp_path, cases.indicator(), source="stranger")
    put(tmp_path, cases.indicator(confidence=70))

    exchange = decided(guard(tmp_path), peer="203.0.113.9")

    assert exchange.decision.rule is None
    assert {one.source for one in exchange.facts.indicators} == {"stranger", "acme"}


def test_an_anonymous_request_is_matched_as_well(tmp_path: Path) -> None:
    put(tmp_path, cases.indicator())

    exchange = decided(guard(tmp_path), peer="203.0.113.9", key=None)

    assert exchange.request.account is None
    assert exchange.decision.rule == "seen-elsewhere"


def test_explain_and_the_decision_log_say_who_how_sure_and_since_when(tmp_path: Path) -> None:
    put(tmp_path, cases.indicator())
    one = guard(tmp_path)

    exchange = decided(one, peer="203.0.113.9")

    tree = explain_tree(exchange, one.policy)
    assert "network indicator c_0012 from acme 0.90, 7 days old" in tree[2]
    (said,) = line_of(exchange).indicators
    assert (said.name, said.source, said.kind, said.confidence) == (
        "c_0012", "acme", "network", 0.9,
    )  # fmt: skip
    assert said.at == build.NOW - 7 * 86_400


def test_guards_of_one_group_agree_on_templates_and_clients_and_on_nothing_else(
    tmp_path: Path,
) -> None:
    theirs = decided(
        guard(tmp_path, secret=b"the secret of the other guard", intel_group_key=cases.GROUP_KEY)
    )
    request = theirs.request
    assert request.prompt is not None
    template, client = template_keys(request.prompt)[0], client_digest(request.client)
    put(
        tmp_path,
        cases.indicator(id="1", kind="template", value=GROUP.seal("template", template)),
        cases.indicator(id="2", kind="client", value=GROUP.seal("client", client)),
    )

    same = decided(guard(tmp_path, intel_group_key=cases.GROUP_KEY))
    alone = decided(guard(tmp_path))
    others = decided(guard(tmp_path, intel_group_key=b"another group's key"))

    assert {one.kind for one in same.facts.indicators} == {"template", "client"}
    assert same.request.account != request.account
    assert alone.facts.indicators == others.facts.indicators == ()


def test_a_reload_takes_in_what_was_imported_meanwhile(tmp_path: Path) -> None:
    one = guard(tmp_path)
    assert one.indicators.match is None

    put(tmp_path, cases.indicator())

    assert one.reload()
    assert decided(one, peer="203.0.113.9").decision.rule == "seen-elsewhere"


def test_a_table_that_goes_bad_is_said_and_the_last_good_one_stays(tmp_path: Path) -> None:
    put(tmp_path, cases.indicator())
    one = guard(tmp_path)

    (tmp_path / "table").write_bytes(b"{")

    assert not one.reload()
    assert decided(one, peer="203.0.113.9").decision.rule == "seen-elsewhere"


def test_a_table_that_could_not_be_read_is_tried_again_although_it_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guard may have had no descriptor left: nothing of that shows in the file."""
    one = guard(tmp_path)
    put(tmp_path, cases.indicator())

    def refuse(_file: TableFile) -> Table:
        raise IntelError("table: cannot be read: Too many open files")

    with monkeypatch.context() as full:
        full.setattr(TableFile, "read", refuse)
        kept = one.reload()

    assert not kept
    assert one.reload()
    assert decided(one, peer="203.0.113.9").decision.rule == "seen-elsewhere"


def test_an_empty_table_is_no_trouble(tmp_path: Path) -> None:
    TableFile(tmp_path / "table").update(lambda _: Table())

    assert decided(guard(tmp_path)).facts.indicators == ()
