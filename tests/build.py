"""One builder per noun, with sensible defaults: a test names only what it is about."""

from __future__ import annotations

import textwrap
from typing import Any

import msgspec

from gateway_guard.core.policy import Policy
from gateway_guard.policy.compile import compile_policy
from gateway_guard.types import (
    AccountFacts,
    Action,
    Charge,
    Client,
    Decision,
    Dialect,
    Exchange,
    Facts,
    Grant,
    IndicatorFacts,
    Inspection,
    NetworkFacts,
    Plan,
    PromptShape,
    Request,
    Signal,
    Wire,
)

#: A fixed moment: 2026-03-02 12:00:00 UTC, a Monday.
NOW = 1_772_452_800.0
SECRET = b"a secret of tests, 32 bytes long"


def chat_body(text: str = "What is the capital of Norway?", **more: Any) -> bytes:
    """An OpenAI chat body with one user message."""
    message = {"role": "user", "content": text}
    return msgspec.json.encode({"model": "apex-4", "messages": [message], **more})


def wire(
    path: str = "/v1/chat/completions",
    *,
    method: str = "POST",
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    key: str | None = "sk-test",
    peer: str | None = "198.51.100.7",
    **more: Any,
) -> Wire:
    """A request as a frontend hands it over; a chat by default."""
    if body is None and method == "POST":
        body = chat_body()
    fields = {"content-type": "application/json"} if body is not None else {}
    if key is not None:
        fields["authorization"] = f"Bearer {key}"
    fields |= headers or {}
    return Wire(
        method=method,
        raw_path=path.encode(),
        headers=[(k.lower().encode(), v.encode("latin-1")) for k, v in fields.items()],
        peer=peer,
        body=body,
        **more,
    )


def prompt(**fields: Any) -> PromptShape:
    """A short prompt's shape."""
    return PromptShape(**{"messages": 1, "chars": 40, "input_tokens": 10} | fields)


def request(**fields: Any) -> Request:
    """An identified chat request."""
    defaults: dict[str, Any] = {
        "id": "r_test000001",
        "at": NOW,
        "method": "POST",
        "path": "/v1/chat/completions",
        "dialect": Dialect.OPENAI,
        "model_route": True,
        "model": "apex-4",
        "client_ip": "198.51.100.7",
        "subnet": "198.51.100.0/24",
        "account": "acct_test",
        "credential": "bearer",
        "client": Client(),
        "inspection": Inspection.FULL,
        "prompt": prompt(),
    }
    return Request(**defaults | fields)


def network(**fields: Any) -> NetworkFacts:
    """A known, unflagged address in Norway."""
    if "flags" in fields:
        fields["flags"] = frozenset(fields["flags"])
    defaults: dict[str, Any] = {"country": "NO", "asn": 64500, "as_org": "Example"}
    return NetworkFacts(**defaults | fields)


def account(**fields: Any) -> AccountFacts:
    """What the operator knows of an account; nothing by default."""
    return AccountFacts(**fields)


def facts(**fields: Any) -> Facts:
    """Facts about a request from Norway by an account nobody knows."""
    return Facts(**{"network": network()} | fields)


def indicator(**fields: Any) -> IndicatorFacts:
    """What `acme` says of a network, 95 % sure, since two days before `NOW`."""
    defaults: dict[str, Any] = {
        "name": "c_0012",
        "source": "acme",
        "kind": "network",
        "confidence": 0.95,
        "at": NOW - 2 * 86_400.0,
    }
    return IndicatorFacts(**defaults | fields)


def signal(name: str = "template-sweep", score: float = 0.5, evidence: str = "because") -> Signal:
    """One detector's opinion."""
    return Signal(name=name, score=score, evidence=evidence)


def charge(**fields: Any) -> Charge:
    """One request of 60 a minute."""
    defaults: dict[str, Any] = {
        "limit": "requests",
        "key": "requests:acct_test",
        "unit": "requests",
        "cost": 1.0,
        "capacity": 60.0,
        "rate": 1.0,
        "quota": 60.0,
        "window": 60.0,
    }
    return Charge(**defaults | fields)


def grant(**fields: Any) -> Grant:
    """A charge that fitted."""
    defaults: dict[str, Any] = {
        "charge": charge(),
        "allowed": True,
        "remaining": 59.0,
        "retry_after": 0.0,
        "reset": 1.0,
    }
    return Grant(**defaults | fields)


def decision(**fields: Any) -> Decision:
    """An allowed request."""
    defaults: dict[str, Any] = {"action": Action.ALLOW, "policy": "0123456789ab"}
    return Decision(**defaults | fields)


def exchange(**fields: Any) -> Exchange:
    """An allowed exchange; `request`, `facts`, `decision` may be given."""
    defaults: dict[str, Any] = {
        "request": request(),
        "facts": facts(),
        "plan": Plan(action=Action.ALLOW),
        "decision": decision(),
    }
    return Exchange(**defaults | fields)


def policy(text: str, name: str = "test.yaml") -> Policy:
    """A policy compiled from YAML text, indented as the test likes."""
    source = textwrap.dedent(text)
    if "version:" not in source:
        source = "version: 1\n" + source
    return compile_policy(source.encode(), name)
