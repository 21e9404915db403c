"""What a gateway asks, whichever way it does: one policy, a guard, and the desk before it."""

from __future__ import annotations

from collections.abc import Callable

from gateway_guard.building import build_guard
from gateway_guard.frontends.extauth.desk import Desk
from gateway_guard.guard import Guard
from gateway_guard.network.unknown import NoNetwork
from gateway_guard.settings import Settings
from gateway_guard.types import Exchange
from tests import build

#: Gateways are on loopback.
TRUSTED = "[127.0.0.0/8]"
POLICY = f"""
mode: enforce
identify:
  trusted_proxies: {TRUSTED}
  client_ip: x-forwarded-for
limits:
  requests: {{ per: account, requests: 3/minute }}
  in-flight: {{ per: account, concurrent: 2 }}
  tokens: {{ per: account, tokens: 20000/hour }}
rules:
  - name: no-deletes
    when: {{ method: DELETE }}
    then: deny
  - name: no-sockets
    when: {{ method: WEBSOCKET, path: /v1/realtime }}
    then: deny
    status: 404
  - name: no-giants
    when: {{ model: giant }}
    then: deny
    status: 451
"""
CHAT = "/v1/chat/completions"
#: A handshake's fields, as clients send them.
HANDSHAKE = {
    "connection": "keep-alive, Upgrade", "upgrade": "WebSocket",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-version": "13",
}  # fmt: skip


def trusting(*networks: str) -> str:
    """The policy, with other gateways."""
    return POLICY.replace(TRUSTED, f"[{', '.join(networks)}]")


class Clock:
    """A clock the test winds."""

    def __init__(self) -> None:
        self.now = build.NOW

    def __call__(self) -> float:
        return self.now


class Asked:
    """A guard that gateways ask, and what comes of it.

    Attributes:
        learnt: what has been settled, in order.
    """

    def __init__(
        self,
        policy: str = POLICY,
        *,
        lease: float = 0.0,
        on_decided: Callable[[float], None] | None = None,
    ) -> None:
        self.clock = Clock()
        self.learnt: list[Exchange] = []
        self.guard: Guard = build_guard(
            build.policy(policy), settings=Settings(secret=build.SECRET), network=NoNetwork(),
            clock=self.clock, learners=[self.learnt.append],
        )  # fmt: skip
        self.desk = Desk(self.guard, lease=lease, on_decided=on_decided, clock=self.clock)
