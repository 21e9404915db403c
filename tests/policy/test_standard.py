"""Honest customers, as they really call, against the policy we recommend.

Each account is new where that makes it harder. Time stands still: nothing is regained in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gateway_guard.building import build_guard
from gateway_guard.guard import Guard
from gateway_guard.network.database import NetworkDatabase
from gateway_guard.settings import Settings
from gateway_guard.types import Exchange, Usage, Wire
from tests import build

STANDARD = Path(__file__).parent.parent.parent / "policies" / "standard.yaml"
DAY = 86_400.0


def guard() -> Guard:
    return build_guard(
        STANDARD,
        settings=Settings(secret=build.SECRET),
        network=NetworkDatabase([]),
        clock=lambda: build.NOW,
    )


def chat(tokens: int, cap: int | None = None, *, age: float = 1 * DAY, **more: Any) -> Wire:
    """A prompt of about `tokens` tokens that asks for at most `cap`, from an account of `age`."""
    body = build.chat_body("word" * tokens, **({} if cap is None else {"max_tokens": cap}))
    state = {"account": "somebody", "created_at": build.NOW - age}
    return build.wire(body=body, key=None, state=state, **more)


def at_once(wires: Iterable[Wire]) -> list[str]:
    """The actions when none of the requests has ended before the next arrives."""
    running = guard()

    async def main() -> list[Exchange]:
        return [await running.decide(wire) for wire in wires]

    return [exchange.decision.action.word for exchange in asyncio.run(main())]


def one_by_one(wires: Iterable[Wire], usage: Usage) -> list[str]:
    """The actions when each request ends, having cost `usage`, before the next arrives."""
    running = guard()

    async def main() -> list[str]:
        words = []
        for wire in wires:
            exchange = await running.decide(wire)
            words.append(exchange.decision.action.word)
            await running.settle(exchange, usage)
        return words

    return asyncio.run(main())


def test_a_new_account_may_send_a_long_context_at_once() -> None:
    assert at_once([chat(200_000, 64_000)]) == ["allow"]


def test_an_account_of_some_months_may_send_three_long_contexts_in_parallel() -> None:
    assert at_once([chat(200_000, 64_000, age=90 * DAY)] * 3) == ["allow"] * 3


def test_a_request_larger_than_the_burst_is_served_when_nothing_is_owed() -> None:
    assert at_once([chat(1_000_000, 64_000)]) == ["allow"]


def test_an_agent_may_fan_out_into_thirty_streams() -> None:
    assert at_once([chat(16_000, 16_000, age=90 * DAY)] * 30) == ["allow"] * 30


def test_a_new_accounts_agent_may_fan_out_into_thirty_smaller_ones() -> None:
    assert at_once([chat(8_000, 8_000)] * 30) == ["allow"] * 30


def test_an_agent_with_a_cached_context_goes_on_for_an_hour_of_turns() -> None:
    turns = [chat(125_000, 32_000)] * 60

    words = one_by_one(turns, Usage(input_tokens=2_000, output_tokens=1_500, reported=True))

    assert words == ["allow"] * 60


def test_a_nightly_batch_starts_with_a_burst() -> None:
    words = one_by_one([chat(400, 200)] * 239, Usage(input_tokens=400, output_tokens=100))

    assert words == ["allow"] * 239


def test_a_thousand_employees_behind_one_address_do_not_share_a_quota() -> None:
    wires = [build.wire(key=f"sk-{number}") for number in range(1_000)]

    assert at_once(wires) == ["allow"] * 1_000


def test_browsers_behind_one_address_may_ask_before_they_call() -> None:
    preflight = build.wire(method="OPTIONS", key=None, headers={"origin": "https://example.com"})

    assert at_once([preflight] * 40) == ["allow"] * 40


def test_pages_and_probes_need_no_credential() -> None:
    wires = [build.wire(path, method="GET", key=None) for path in ("/", "/healthz")] * 40

    assert one_by_one(wires, Usage()) == ["allow"] * 80


def test_an_applications_own_sockets_may_stay_open_in_any_number() -> None:
    assert at_once([build.wire("/chat", method="WEBSOCKET", key=None)] * 100) == ["allow"] * 100


def test_model_calls_without_a_credential_are_thirty_a_minute() -> None:
    words = one_by_one([build.wire(key=None)] * 31, Usage(input_tokens=1, output_tokens=1))

    assert words == ["allow"] * 30 + ["throttle"]


def test_keys_in_the_headers_of_azure_and_gemini_are_accounts() -> None:
    wires = [build.wire(key=None, headers={name: "k"}) for name in ("api-key", "x-goog-api-key")]

    words = one_by_one(wires * 31, Usage(input_tokens=1, output_tokens=1))

    assert words == ["allow"] * 62


def test_what_flows_over_a_socket_to_a_model_is_not_let_through() -> None:
    assert at_once([build.wire("/v1/realtime", method="WEBSOCKET")]) == ["deny"]


def test_what_stands_in_comments_loads_when_it_is_switched_on() -> None:
    text = STANDARD.read_text()
    for before, after in (
        ("  # addresses: {", "  addresses: {"),
        ("  # trusted_proxies: [", "  trusted_proxies: ["),
        ("# regions:\n#   embargoed", "regions:\n  embargoed"),
    ):
        assert text.count(before) == 1
        text = text.replace(before, after)
    sockets = next(line for line in text.splitlines() if "sockets: {" in line).lstrip(" #")
    jwt = next(line for line in text.splitlines() if "{ jwt: {" in line).lstrip(" #")
    text = text.replace("  addresses: {", f"  {sockets}\n  addresses: {{")
    text = text.replace("    - { state: account }", f"    - {{ state: account }}\n    {jwt}")
    start = text.index("  # - name: embargo")
    end = text.index("  # What flows over a socket")
    rule = text[start:end]
    text = text[:start] + rule.replace("  # ", "  ") + text[end:]

    policy = build.policy(text)

    assert {"sockets", "addresses"} <= {limit.name for limit in policy.limits}
    assert policy.rules[0].name == "embargo"
    assert policy.identify.accounts[1].kind == "jwt"
