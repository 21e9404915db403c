"""A key set nobody can fetch: the caller is told to come back, and the operator why."""

from __future__ import annotations

import asyncio
from typing import Any

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from gateway_guard.building import build_guard
from gateway_guard.core.tokens import RETRY, KeySet
from gateway_guard.frontends.refusals import refusal
from gateway_guard.guard import Guard
from gateway_guard.network.unknown import NoNetwork
from gateway_guard.record.line import line
from gateway_guard.record.metrics import Metrics
from gateway_guard.settings import Settings
from gateway_guard.types import Action, Exchange, Usage
from tests import build

#: Nobody listens there.
URL = "http://127.0.0.1:1/keys"
POLICY = f"""
mode: enforce
identify:
  account: {{ jwt: {{ jwks: "{URL}", algorithms: [ES256] }} }}
limits:
  requests: {{ per: client_ip, requests: 3/minute }}
"""
KEY = ec.generate_private_key(ec.SECP256R1())
TOKEN = jwt.encode({"sub": "alice"}, KEY, "ES256", headers={"kid": "one"})


def guard() -> Guard:
    return build_guard(
        build.policy(POLICY), network=NoNetwork(), settings=Settings(secret=build.SECRET),
        clock=lambda: build.NOW,
    )  # fmt: skip


def decided(path: str = "/v1/chat/completions", brain: Guard | None = None) -> Exchange:
    async def scenario() -> Exchange:
        return await (brain or guard()).decide(build.wire(path, key=TOKEN))

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/v1/chat/completions", "service_unavailable"), ("/v1/messages", "api_error")],
)
def test_a_model_route_answers_503_in_the_clients_dialect_and_asks_to_come_back(
    path: str, kind: str
) -> None:
    exchange = decided(path)

    status, headers, body = refusal(exchange)
    fields = dict(headers)
    error: dict[str, Any] = msgspec.json.decode(body)["error"]
    assert status == 503
    assert fields[b"retry-after"] == b"%d" % RETRY
    assert b"x-should-retry" not in fields
    assert b"www-authenticate" not in fields
    assert kind in (error["type"], error.get("code"))
    assert "key" not in error["message"]


def test_the_outage_is_named_in_the_log_and_counted() -> None:
    brain, metrics = guard(), Metrics()

    exchange = decided(brain=brain)
    exchange.usage = Usage()
    metrics.settled(exchange)

    fields = msgspec.json.decode(line(exchange))
    assert fields["rule"] == "guard:jwks"
    assert fields["credential_fault"] == "keys-unreachable"
    assert fields["degraded"] == ["jwks"]
    assert brain.failures == {"jwks": 1}
    assert b'gateway_guard_degraded_total{dependency="jwks"} 1.0' in metrics.render()[0]


def test_elsewhere_the_account_is_unknown_and_the_decision_says_why() -> None:
    decision = decided("/login").decision

    assert decision.action is Action.ALLOW
    assert decision.degraded == ("jwks",)
    assert [grant.allowed for grant in decision.grants] == [True]


def test_a_guard_with_a_last_good_key_set_goes_on_with_it() -> None:
    brain = guard()
    brain._jwt.keys[URL] = KeySet({"one": jwt.PyJWK.from_dict(_public())}, current=False)
    brain._jwt._fetched[URL] = float("-inf")

    exchange = decided(brain=brain)

    assert exchange.decision.action is Action.ALLOW
    assert exchange.request.credential == "jwt"
    assert exchange.decision.degraded == ()


def test_a_token_that_is_wrong_is_still_the_callers_fault() -> None:
    brain = guard()
    other = ec.generate_private_key(ec.SECP256R1())
    jwk = jwt.PyJWK.from_dict(_public(other))
    brain._jwt.keys[URL] = KeySet({"one": jwk}, current=False)
    brain._jwt._fetched[URL] = float("-inf")

    exchange = decided(brain=brain)
    status, headers, _ = refusal(exchange)

    assert (status, dict(headers)[b"x-should-retry"]) == (401, b"false")
    assert exchange.decision.rule == "guard:credential"
    assert exchange.decision.reason.endswith("its signature is not made with the key")
    assert TOKEN.encode() not in line(exchange)


def _public(key: ec.EllipticCurvePrivateKey = KEY) -> dict[str, Any]:
    public: dict[str, Any] = msgspec.json.decode(
        jwt.algorithms.ECAlgorithm.to_jwk(key.public_key())
    )
    return public | {"alg": "ES256"}
