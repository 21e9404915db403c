"""What the application gets instead of what the client sent: less, or a request to count."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Final

from gateway_guard.core.credentials import signed
from gateway_guard.core.rewrite import rewrite
from gateway_guard.frontends.inbox import Inbox
from gateway_guard.frontends.outbox import Outbox
from gateway_guard.types import Dialect, Exchange, Inspection, Wire

Scope = MutableMapping[str, Any]

#: `/chat/completions` too. `/responses` always counts.
_FORCED_ROUTES: Final = "/completions"


def rewritten(scope: Scope, exchange: Exchange, wire: Wire, inbox: Inbox, outbox: Outbox) -> Scope:
    """Take away what the decision says, ask for usage; the scope that fits the new body.

    Only bodies that were fully inspected are touched.

    Raises:
        ValueError: the body cannot be decoded after all.
    """
    request, decision = exchange.request, exchange.decision
    restrictions = decision.restrictions if decision.acted else None
    prompt = request.prompt
    force = prompt is not None and prompt.stream and _forces_usage(exchange)
    if not force and restrictions is None:
        return scope
    body = wire.body
    if body is None or request.inspection is not Inspection.FULL:
        return scope
    data = rewrite(
        body, wire.headers, request.dialect,
        restrictions=restrictions, force_usage=force, path=request.path,
    )  # fmt: skip
    outbox.hide_usage = force
    if data is body and not force:
        return scope
    inbox.replace(data)
    return _fitting(scope, wire.headers, len(data), identity=force)


def _forces_usage(exchange: Exchange) -> bool:
    """Whether the upstream must be told to count: an OpenAI stream whose client did not ask, unless
    it signed what it sent, which would not be what arrives.
    """
    request = exchange.request
    prompt = request.prompt
    return (
        prompt is not None
        and not prompt.include_usage
        and request.dialect is Dialect.OPENAI
        and request.path is not None
        and request.path.lower().rstrip("/").endswith(_FORCED_ROUTES)
        and not signed(request.credential)
    )


def _fitting(
    scope: Scope, headers: list[tuple[bytes, bytes]], length: int, *, identity: bool
) -> Scope:
    """A scope whose headers fit the rewritten body: its length, no coding.

    `identity` also asks for an uncompressed answer, in which forced usage can be found and hidden.
    """
    dropped = {b"content-length", b"content-encoding", b"transfer-encoding"}
    if identity:
        dropped.add(b"accept-encoding")
    fitting = [pair for pair in headers if pair[0] not in dropped]
    fitting.append((b"content-length", b"%d" % length))
    if identity:
        fitting.append((b"accept-encoding", b"identity"))
    return {**scope, "headers": fitting}
