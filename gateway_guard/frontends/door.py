"""Turning requests away at the sidecar's door: before there is a task, a scope or a body.

What is turned away must cost next to nothing, or turning away does not help: as a request of its
own, through the middleware, a refusal costs a third of what an answer does, and at three times what
a process can do refusing is all it does. Here it is a head that has been read and one answer.
"""

from __future__ import annotations

from typing import Final, Protocol

from gateway_guard.core.fields import lines
from gateway_guard.frontends.admission import PROCESS, Admission
from gateway_guard.frontends.head import Head
from gateway_guard.frontends.refusals import OVERLOADED, Answer, refusal
from gateway_guard.guard import Guard
from gateway_guard.types import Outcome, Usage, Wire

#: In the scope of a request that has been let in: nobody need ask again.
LET_IN: Final = "gateway_guard.let_in"
#: Longest body, bytes, that is waited for before a request is turned away, so that its connection
#: can be kept: a new one would cost both sides more. Source: `listen` sockets read up to as much.
SMALL: Final = 64 * 1024


class Doorkeeper(Protocol):
    """Who is asked about every request, at its head."""

    def refuses(self, method: str, head: Head) -> Answer | None:
        """The answer instead of looking at the request; None lets it in."""


class Door:
    """Turns away what the process has no time for, as the guard's policy has it.

    Args:
        guard: whose policy it is, and whose learners hear of it.
        admission: who knows how busy the process is.
    """

    def __init__(self, guard: Guard, admission: Admission) -> None:
        self._guard = guard
        self._admission = admission

    def refuses(self, method: str, head: Head) -> Answer | None:
        """The answer to a request that is one too many; None lets it in."""
        guard, admission = self._guard, self._admission
        policy = guard.policies.current
        if not admission.turns_away(policy.overload):
            return None
        visitors = policy.verification
        if visitors is not None and head.raw_path.startswith(visitors.path.encode()):
            return None  # people, at a page, and few
        wire = Wire(method=method, raw_path=head.raw_path, headers=head.headers, peer=None)
        exchange = guard.unjudged(
            wire, rule=OVERLOADED, reason=PROCESS, retry_after=admission.come_back
        )
        if not exchange.decision.acted:
            return None
        guard.turned_away(
            exchange,
            Usage(input_tokens=0, output_tokens=0, outcome=Outcome.REFUSED, status=503),
        )
        return refusal(exchange, accept=b", ".join(lines(head.headers, b"accept")))


def small(head: Head) -> bool:
    """Whether the body of a request that is turned away is waited for."""
    if head.chunked or head.expects_continue:
        return False
    return head.length is None or head.length <= SMALL


def on_the_wire(answer: Answer, more: list[bytes], *, silent: bool, close: bool) -> bytes:
    """An answer as bytes; `more` are further lines of its head. `silent`: it has no body."""
    status, fields, body = answer
    head = [b"HTTP/1.1 %d Service Unavailable" % status]
    head += [b": ".join(field) for field in fields]
    head += more
    if close:
        head.append(b"connection: close")
    head += (b"", b"" if silent else body)
    return b"\r\n".join(head)
