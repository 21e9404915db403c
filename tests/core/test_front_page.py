"""`POST /` is a model's where its body is, and a front page's everywhere else."""

from __future__ import annotations

import pytest

from gateway_guard.core.identify import identify, needs_body
from gateway_guard.core.limits import estimates
from gateway_guard.core.sections import Identify, Inspect
from gateway_guard.types import Inspection, Request, Wire
from tests import build

JSON = "application/json"
PROMPT = b'{"inputs":"What is the capital of Norway?","parameters":{"max_new_tokens":9}}'


def wire(body: bytes | None, kind: str | None = JSON, method: str = "POST", **more: str) -> Wire:
    fields = [(name.replace("_", "-").encode(), text.encode()) for name, text in more.items()]
    if kind is not None:
        fields.append((b"content-type", kind.encode()))
    return Wire(method=method, raw_path=b"/", headers=fields, peer="203.0.113.7", body=body)


def seen(wire: Wire, **sections: Identify) -> Request:
    return identify(
        wire, sections.get("identify", Identify()), Inspect(max_body=4096), id="r_1", at=build.NOW,
        secret=build.SECRET, keys={},
    )  # fmt: skip


@pytest.mark.parametrize("kind", [JSON, "application/JSON; charset=utf-8", "application/x+json"])
def test_a_prompt_posted_to_the_root_is_read_as_one(kind: str) -> None:
    request = seen(wire(PROMPT, kind))

    assert (request.model_route, request.inspection) == (True, Inspection.FULL)
    assert (estimates(request) or (0, 0))[1] == 9


@pytest.mark.parametrize(
    "other",
    [
        wire(b'{"jsonrpc":"2.0","method":"tools/list","id":1}'),
        wire(b'{"query":"{ me { name } }"}'),
        wire(b'[{"inputs":"x"}]'),
        wire(b"{}"),
        wire(b""),
        wire(None),
        wire(b"inputs=x", "application/x-www-form-urlencoded"),
        wire(b'{"inputs":"x"}', None),
        wire(PROMPT, method="PUT"),
        wire(None, None, method="GET"),
    ],
    ids=str,
)
def test_whatever_else_is_posted_there_is_no_model_route(other: Wire) -> None:
    request = seen(other)

    assert (request.model_route, request.inspection) == (False, Inspection.NONE)
    assert (request.model, request.prompt) == (None, None)


@pytest.mark.parametrize(
    ("body", "more", "why"),
    [
        (PROMPT[:-1] + b',"inputs":"two"}', {}, Inspection.DUPLICATE_KEYS),
        (b'{"inputs":"x","deep":' + b"[" * 110 + b"]" * 110 + b"}", {}, Inspection.NOT_JSON),
        (PROMPT, {"content_encoding": "lzma"}, Inspection.ENCODING),
        (b'{"inputs":"' + b"x" * 5000 + b'"}', {}, Inspection.TOO_LARGE),
        (b'{"inputs":"x","parameters":[]}', {}, Inspection.SHAPE),
    ],
    ids=lambda value: getattr(value, "value", ""),
)
def test_a_body_that_the_model_may_read_in_another_way_counts_as_one_for_it(
    body: bytes, more: dict[str, str], why: Inspection
) -> None:
    request = seen(wire(body, **more))

    assert (request.model_route, request.inspection) == (True, why)


def test_a_body_that_a_gateway_does_not_show_counts_as_one_for_the_model() -> None:
    unseen = wire(None)
    unseen.unseen = True

    assert seen(unseen).model_route


def test_only_what_may_be_a_prompt_is_waited_for() -> None:
    headers = wire(None).headers

    assert needs_body(Identify(), "POST", b"/", headers)
    assert not needs_body(Identify(), "GET", b"/", headers)
    assert not needs_body(Identify(), "POST", b"/", [])
    assert not needs_body(Identify(), "POST", b"/front", headers)


@pytest.mark.parametrize("route", ["/", "/**", "/*/**"])
def test_a_policy_may_name_the_root_as_a_route_of_its_own(route: str) -> None:
    rules = Identify(model_routes=(route,))

    found = seen(wire(b'{"messages":[{"role":"user","content":"hi"}]}'), identify=rules)

    assert found.model_route is (route != "/*/**")
