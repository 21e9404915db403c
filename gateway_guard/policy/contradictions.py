"""Conditions that take each other back: a rule, or the scope of a limit, that matches nothing."""

from __future__ import annotations

from typing import Final

from gateway_guard.core.dialects import route
from gateway_guard.policy.scope import Scope
from gateway_guard.policy.shapes import Bands, Not, Patterns, Shape, Values
from gateway_guard.policy.values import Section
from gateway_guard.types import UNKNOWN

#: What nobody knows where no model is reached.
_OF_MODELS: Final = ("model", "stream", "prompt")
#: What to do where a path does reach one.
NAME_IT: Final = "name the path in `identify.model_routes` if it reaches a model"
#: A condition, the only value it accepts, what is then unknown of every request, and why.
THEN_UNKNOWN: Final = (
    ("account", UNKNOWN, (
        "organisation", "account_tag", "account_age", "account_country", "tier", "verified",
        "programme", "campaign",
    ), "of whoever has no account"),
    ("model_route", False, _OF_MODELS, "where no model is reached"),
    ("method", "WEBSOCKET", ("stream", "prompt"), "of a WebSocket"),
    ("network", UNKNOWN, ("country", "asn"), "where nothing is known of the network"),
)  # fmt: skip
#: What only a body that was read says.
OF_BODY: Final = ("stream", "prompt")


def check_contradictions(scope: Scope, when: Section | None, shapes: dict[str, Shape]) -> None:
    """Conditions of one `when` of which one leaves nothing for another."""
    if when is None:
        return
    negated = shapes.get("not")
    for name, shape in negated.fields.items() if isinstance(negated, Not) else ():
        if shape.everything or (name in shapes and shape.covers(shapes[name])):
            scope.found.at(
                "GG303",
                when.place("not"),
                f"`not` takes back all that '{name}' accepts",
                hint="narrow the one or the other",
            )
    for field, only, others, why in THEN_UNKNOWN:
        given = shapes.get(field)
        if isinstance(given, Values) and given.words == {only}:
            _known(scope, when, shapes, field, others, why)
    if reaches_nothing(scope, shapes):
        _known(scope, when, shapes, "path", _OF_MODELS, "where no model is reached", NAME_IT)
        routes = shapes.get("model_route")
        if isinstance(routes, Values) and routes.words == {True}:
            scope.found.at(
                "GG303", when.place("path"), "no model is reached by this path", hint=NAME_IT
            )
    body = shapes.get("body")
    if isinstance(body, Values) and "full" not in body.words:
        _known(scope, when, shapes, "body", OF_BODY, "of a body that is not read")


def reaches_nothing(scope: Scope, shapes: dict[str, Shape]) -> bool:
    """Whether all paths that are accepted are written out, and none is known to reach a model."""
    paths = shapes.get("path")
    return isinstance(paths, Patterns) and all(
        "*" not in text and text not in (UNKNOWN, "/") and route(text, scope.routes) is None
        for text in paths.texts
    )


def _known(
    scope: Scope, when: Section, shapes: dict[str, Shape], field: str, others: tuple[str, ...],
    why: str, hint: str = "",
) -> None:  # fmt: skip
    """Note those of `others` that want something known."""
    for name in others:
        if name in shapes and not _takes_unknown(shapes[name]):
            scope.found.at(
                "GG303",
                when.place(name),
                f"'{name}' is always unknown {why}",
                hint=hint or f"leave out '{field}' or '{name}', or write two: one for each",
            )


def _takes_unknown(shape: Shape) -> bool:
    match shape:
        case Bands():
            return shape.unknown
        case Values():
            return UNKNOWN in shape.words
        case Patterns():
            return UNKNOWN in shape.texts
    return True
