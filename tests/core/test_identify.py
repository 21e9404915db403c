"""Wire → Request, as a whole."""

from __future__ import annotations

import gzip
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.core import prepared
from gateway_guard.core.identify import identify, needs_body
from gateway_guard.core.sections import AccountSource, Identify, Inspect
from gateway_guard.types import Client, Dialect, Inspection, Request, Wire
from tests import build

CHAT = "/v1/chat/completions"
#: As its clients write it.
OLLAMA = b'{"model":"m","messages":[{"role":"user","content":"Hi"}],"stream":false}'


def seen(wire: Wire, rules: Identify | None = None, inspect: Inspect | None = None) -> Request:
    return identify(
        wire,
        rules or Identify(),
        inspect or Inspect(),
        id="r_1",
        at=build.NOW,
        secret=build.SECRET,
        keys={},
    )


def test_a_chat_is_read_in_full() -> None:
    request = seen(build.wire())

    assert request.id == "r_1"
    assert request.at == build.NOW
    assert (request.path, request.dialect, request.model_route) == (CHAT, Dialect.OPENAI, True)
    assert (request.model, request.inspection) == ("apex-4", Inspection.FULL)
    assert (request.client_ip, request.subnet) == ("198.51.100.7", "198.51.100.0/24")
    assert request.credential == "bearer"
    assert request.prompt is not None
    assert request.prompt.messages == 1


def test_nothing_of_the_wire_is_kept() -> None:
    wire = build.wire(
        body=build.chat_body("xyzzy " * 40),
        headers={"user-agent": "xyzzy-agent", "x-secret": "xyzzy"},
        key="sk-xyzzy",
    )

    assert "xyzzy" not in repr(seen(wire))


def test_a_body_off_the_model_routes_is_not_read() -> None:
    assert seen(build.wire("/health")).inspection is Inspection.NONE
    assert seen(build.wire("/v1/../v1/chat/completions")).inspection is Inspection.NONE
    assert seen(build.wire("/v1/../v1/chat/completions")).path is None


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE", "OPTIONS", "FOO"])
def test_every_method_of_a_model_route_is_read(method: str) -> None:
    wire = build.wire(method=method, body=build.chat_body())

    assert seen(wire).inspection is Inspection.FULL
    assert needs_body(Identify(), method, wire.raw_path, wire.headers)


@pytest.mark.parametrize(
    "path", [CHAT, CHAT + "/", CHAT.upper(), "/v1//chat/completions", "/v1/chat/%63ompletions"]
)
def test_no_spelling_of_a_model_route_slips_by(path: str) -> None:
    wire = build.wire(path)

    assert seen(wire).inspection is Inspection.FULL
    assert needs_body(Identify(), "POST", wire.raw_path, wire.headers)


def test_other_routes_need_no_body() -> None:
    assert not needs_body(Identify(), "POST", b"/health", [])
    assert not needs_body(Identify(), "POST", b"/v1/%2e%2e/chat/completions", [])
    assert not needs_body(Identify(), "WEBSOCKET", b"/v1/realtime", [])
    assert needs_body(Identify(model_routes=("/llm/*",)), "POST", b"/llm/x", [])


def test_a_websocket_on_a_model_route_is_one() -> None:
    request = seen(build.wire("/v1/realtime", method="WEBSOCKET"))

    assert (request.model_route, request.inspection) == (True, Inspection.NONE)


@pytest.mark.parametrize("body", [b"", None])
def test_no_body_is_nothing_to_read(body: bytes | None) -> None:
    wire = build.wire(method="GET")
    wire.body = body

    assert seen(wire).inspection is Inspection.NONE


def test_what_cannot_be_read_says_why() -> None:
    too_large = build.wire(body_too_large=True)
    over = build.wire(body=build.chat_body("x" * 2000))
    zipped = build.wire(
        body=gzip.compress(build.chat_body("x" * 200_000)), headers={"content-encoding": "gzip"}
    )
    plain = build.wire(headers={"content-type": "text/plain"})
    shape = build.wire(body=build.chat_body(n="5"))

    assert seen(too_large).inspection is Inspection.TOO_LARGE
    assert seen(over, inspect=Inspect(max_body=1000)).inspection is Inspection.TOO_LARGE
    assert seen(zipped, inspect=Inspect(max_body=100_000)).inspection is Inspection.TOO_LARGE
    assert seen(plain).inspection is Inspection.CONTENT_TYPE
    assert seen(shape).inspection is Inspection.SHAPE
    for wire in (too_large, plain, shape):
        assert seen(wire).prompt is None
        assert seen(wire).model is None


def test_repeated_body_headers_are_seen() -> None:
    wire = build.wire()
    wire.headers.append((b"content-type", b"text/plain"))
    coded = build.wire()
    coded.headers += [(b"content-encoding", b"identity"), (b"content-encoding", b"gzip")]

    assert seen(wire).inspection is Inspection.CONTENT_TYPE
    assert seen(coded).inspection is Inspection.ENCODING


def undeclared(path: str, body: bytes = OLLAMA) -> Wire:
    """A body of which no header says what it is."""
    wire = build.wire(path, body=body)
    wire.headers.remove((b"content-type", b"application/json"))
    return wire


@pytest.mark.parametrize(
    "path", ["/api/chat", "/v1/chat/completions", "/completion", "/model/m/invoke"]
)
def test_json_that_nobody_declares_is_read_as_json(path: str) -> None:
    request = seen(undeclared(path))

    assert request.inspection is Inspection.FULL
    assert request.prompt is not None
    assert request.prompt.chars == 2


@pytest.mark.parametrize("body", [b"model=m&prompt=Hi", b"RIFF\xff\x00", b"--b\r\n"])
def test_anything_else_that_nobody_declares_is_not_read(body: bytes) -> None:
    assert seen(undeclared("/api/chat", body)).inspection is not Inspection.FULL


def test_undeclared_json_that_can_be_read_in_two_ways_is_not_read() -> None:
    twice = undeclared("/api/chat", b'{"model":"m","model":"n","prompt":"Hi"}')

    assert seen(twice).inspection is Inspection.DUPLICATE_KEYS


def test_what_curl_calls_a_form_is_json_to_ollama_and_to_nobody_else() -> None:
    curl = {"content-type": "application/x-www-form-urlencoded"}
    found = {
        path: seen(build.wire(path, body=OLLAMA, headers=curl)).inspection
        for path in ("/api/chat", "/ollama/api/generate", "/v1/chat/completions", "/generate")
    }

    assert list(found.values()) == [Inspection.FULL] * 2 + [Inspection.CONTENT_TYPE] * 2


def test_policy_phrases_are_found() -> None:
    wire = build.wire(body=build.chat_body("Please, DO NOT  tell"))

    request = seen(wire, inspect=Inspect(phrases=("do not tell", "unseen")))

    assert request.prompt is not None
    assert request.prompt.phrases == ("do not tell",)


def test_a_policy_route_gets_its_dialect_from_headers_or_body() -> None:
    rules = Identify(model_routes=("/llm/*",))
    by_header = build.wire("/llm/x", headers={"anthropic-version": "2023-06-01"})
    by_body = build.wire("/llm/x")

    assert seen(by_header, rules).dialect is Dialect.ANTHROPIC
    assert seen(by_body, rules).dialect is Dialect.OPENAI


def test_the_model_may_stand_in_the_path() -> None:
    body = msgspec.json.encode({"contents": [{"parts": [{"text": "hi"}]}]})

    request = seen(build.wire("/v1beta/models/gem-2:generateContent", body=body))

    assert (request.model, request.dialect) == ("gem-2", Dialect.OTHER)


def test_the_model_in_the_path_is_that_of_a_request_without_a_body() -> None:
    path = "/v1beta/models/ultra:generateContent"

    assert seen(build.wire(path, body=b"")).model == "ultra"
    assert seen(build.wire("/v1/chat/completions", body=b"")).model is None


@pytest.mark.parametrize("body", [b"", b'{"contents": []}'])
@pytest.mark.parametrize("path", ["/v1beta/models/{}:generateContent", "/v1/models/{}/chat/x"])
def test_a_model_in_the_path_is_believed_at_the_length_of_one_in_the_body(
    body: bytes, path: str
) -> None:
    rules = Identify(model_routes=("/v1/models/*/chat/x",))
    longest = seen(build.wire(path.format("m" * 256), body=body), rules)
    longer = seen(build.wire(path.format("m" * 257), body=body), rules)

    assert longest.model in ("m" * 256, None)
    assert longer.model is None
    assert longest.inspection is not Inspection.SHAPE
    assert longer.inspection is Inspection.SHAPE or (path.endswith("x") and not body)


def test_hints_are_read_and_bounded() -> None:
    request = seen(
        build.wire(
            headers={
                "user-agent": "OpenAI/Python 1.40.0",
                "x-stainless-lang": "python",
                "x-stainless-package-version": "1.40.0",
                "x-stainless-os": "Linux",
                "x-stainless-runtime": "CPython",
                "accept-language": "de-AT,de-DE;q=0.8,zh-Hant-TW;q=0.5,en;q=0.3,fr-FR;q=0,de-AT",
                "x-timezone": "UTC+05:30",
            }
        )
    )

    client = request.client
    assert client.agent != 0
    assert client.sdk == "python/1.40.0/linux/cpython"
    assert client.languages == ("AT", "DE", "TW")
    assert client.utc_offset == 330
    assert client.tls is None


@pytest.mark.parametrize(
    ("value", "minutes"),
    [
        ("Z", 0),
        ("utc", 0),
        ("+0530", 330),
        ("-08:00", -480),
        ("GMT+14:00", 840),
        ("+14:01", None),
        ("+5", None),
        ("Europe/Oslo", None),
        ("", None),
        ("+05:60", None),
        ("9" * 99, None),
    ],
)
def test_a_utc_offset_is_read_strictly(value: str, minutes: int | None) -> None:
    assert seen(build.wire(headers={"x-timezone": value})).client.utc_offset == minutes


def test_a_fingerprint_is_believed_only_from_a_trusted_edge() -> None:
    import ipaddress

    wire = build.wire(headers={"x-ja4": "t13d1516h2_8daaf6152771_b186095e22b6"})
    trusting = Identify(tls_header="x-ja4", trusted=(ipaddress.ip_network("198.51.100.0/24"),))

    assert seen(wire, Identify(tls_header="x-ja4")).client.tls is None
    assert seen(wire, trusting).client.tls == "t13d1516h2_8daaf6152771_b186095e22b6"
    wire.headers.append((b"x-ja4", b"\xff"))
    assert seen(wire, trusting).client.tls is None


def test_many_policies_are_compiled_without_growing() -> None:
    for _ in range(100):
        assert seen(build.wire(), Identify(), Inspect()).model_route

    assert len(prepared.kept) <= prepared.MOST_KEPT


names = st.sampled_from(
    [
        b"content-type",
        b"content-encoding",
        b"authorization",
        b"x-api-key",
        b"x-forwarded-for",
        b"forwarded",
        b"user-agent",
        b"accept-language",
        b"x-timezone",
        b"x-stainless-lang",
        b"x-ja4",
        b"anthropic-version",
        b"cf-connecting-ip",
    ]
)
documents = st.dictionaries(
    st.sampled_from(["messages", "model", "n", "prompt", "input", "tools", "stream", "system"]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=7), inner, max_size=2)
        ),
        max_leaves=5,
    ),
).map(lambda document: json.dumps(document).encode())


@given(
    raw_path=st.binary(max_size=30) | st.just(CHAT.encode()),
    headers=st.lists(st.tuples(names, st.binary(max_size=40)), max_size=6),
    peer=st.none() | st.text(max_size=20) | st.ip_addresses().map(str),
    body=st.none() | st.binary(max_size=80) | documents,
    how=st.sampled_from(["peer", "x-forwarded-for", "forwarded", "cf-connecting-ip"]),
    json_type=st.booleans(),
    state=st.none() | st.dictionaries(st.just("account"), st.none() | st.text() | st.binary()),
)
def test_no_bytes_make_it_raise(
    raw_path: bytes,
    headers: list[tuple[bytes, bytes]],
    peer: str | None,
    body: bytes | None,
    how: str,
    json_type: bool,
    state: dict[str, Any] | None,
) -> None:
    import ipaddress

    if json_type:
        headers = [*headers, (b"content-type", b"application/json")]
    wire = Wire(
        method="POST", raw_path=raw_path, headers=headers, peer=peer, body=body, state=state
    )
    jwt = AccountSource(kind="jwt", header="authorization", verify=False)
    rules = Identify(
        accounts=(
            AccountSource(kind="state"),
            jwt,
            AccountSource(kind="header", header="x-api-key"),
        ),
        client_ip=how,
        trusted=(ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")),
        tls_header="x-ja4",
        model_routes=("/**",),
    )

    request = seen(wire, rules, Inspect(phrases=("a",)))

    assert (request.prompt is not None) is (request.inspection is Inspection.FULL)
    assert msgspec.json.decode(msgspec.json.encode(request), type=dict)


def test_remembered_paths_are_those_of_their_own_policy_and_bounded() -> None:
    plain, routed = Identify(), Identify(model_routes=("/llm/*",))

    before = [needs_body(rules, "POST", b"/llm/x", []) for rules in (plain, routed, plain, routed)]
    for number in range(prepared.MOST_REMEMBERED + 10):
        needs_body(routed, "POST", b"/llm/%d" % number, [])
    needs_body(routed, "POST", b"/" + b"a" * 5_000, [])

    places = prepared.latest.places
    assert before == [False, True, False, True]
    assert 1 <= len(places) <= prepared.MOST_REMEMBERED
    assert all(len(path) <= prepared.LONGEST_REMEMBERED for path in places)


def test_clients_who_say_the_same_are_one_and_the_next_is_another() -> None:
    def client(agent: str, secret: bytes = build.SECRET) -> Client:
        wire = build.wire(headers={"user-agent": agent})
        return identify(
            wire, Identify(), Inspect(), id="r", at=build.NOW, secret=secret, keys={}
        ).client

    assert client("one/1") == client("one/2") != client("two/1")
    assert client("one/1") != client("one/1", b"another secret of 32 bytes here!")


@pytest.mark.parametrize(
    ("value", "account"),
    [
        ("Bearer sk-1", True), ("bearer sk-1", True), ("Bearer  sk-1", True),
        (" Bearer sk-1 ", True), ("Bearer", None), ("Bearer ", None),
        ("Bearer sk 1", False), ("Bearer sk-1\xa0", False), ("Bearer sk-1\x00", False),
    ],
)  # fmt: skip
def test_the_usual_credential_is_read_as_strictly_as_any(value: str, account: bool | None) -> None:
    usual = seen(build.wire(headers={"authorization": "Bearer sk-1"})).account

    found = seen(build.wire(headers={"authorization": value}))

    assert found.account == (usual if account else None)
    assert (found.credential_fault is None) is (account is not False)
