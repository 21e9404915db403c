"""nginx, Caddy, Envoy and HAProxy ask the guard, with the very configurations in `examples`.

What holds behind all of them is here; what is one's own in `test_envoy_grpc` and `test_haproxy`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from tests.e2e.gateways import CHAT, POLICY, SPOOFED, TRUSTED, Chain
from tests.e2e.servers import Client, Seen, Upstream, ask, chunk, get, says

pytestmark = pytest.mark.e2e

ALL = ["nginx", "caddy", "envoy", "envoy-grpc", "haproxy"]
#: Where clients see their limits on answers that are not the guard's: `RateLimit`, and also the
#: fields of their dialect.
SHOWN = {"nginx": 1, "caddy": 0, "envoy": 1, "envoy-grpc": 2, "haproxy": 2}
FACTS = {"x-guard-account", "x-guard-action", "x-guard-request-id", "x-guard-risk"}


@pytest.fixture(params=ALL)
def chain(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Chain]:
    with Upstream() as upstream:
        yield Chain(request.param, tmp_path, upstream)


def claimed(chain: Chain, seen: Seen) -> list[str]:
    """What the upstream saw of the client's claims. nginx takes away only fields that its
    configuration names."""
    known = [("x-guard-other", "1")] if chain.name == "nginx" else []
    claims = [claim for claim in SPOOFED.items() if claim != ("x-guard-action", "allow")]
    return [field[0] for field in seen.headers if field in claims and field not in known]


def test_a_gateway_lets_through_what_the_guard_allows_and_says_its_refusals(chain: Chain) -> None:
    with chain.guard(), chain.gateway():
        answers = [chain.ask(headers=SPOOFED) for _ in range(4)]
        denied = chain.ask("/admin/users", key="sk-2")
        elsewhere = chain.ask("/v1/files", key="sk-2")
        verify = chain.ask("/v1/verify", key="sk-2")
        others = [chain.ask("/v1/messages", key="sk-3") for _ in range(4)][3]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    limited = answers[3].headers
    assert 1 <= int(limited["retry-after"]) <= 1200
    assert 1 <= int(limited["retry-after-ms"]) <= 1_200_000
    assert limited.get_list("content-type") == ["application/json"]
    assert answers[3].json()["error"]["code"] == "rate_limit_exceeded"
    assert limited["ratelimit"].startswith('"requests";r=0')
    assert limited["x-ratelimit-remaining-requests"] == "0"
    assert limited["x-ratelimit-limit-requests"] == "3"
    assert limited["x-request-id"].startswith("r_")
    first = answers[0].headers
    assert first.get("ratelimit", "").startswith('"requests";r=2') is (SHOWN[chain.name] > 0)
    assert ("x-ratelimit-remaining-requests" in first) is (SHOWN[chain.name] > 1)
    assert denied.status_code == 403
    assert "retry-after" not in denied.headers
    assert denied.headers["x-should-retry"] == "false"
    # Envoy over gRPC has no word for 451; the body does.
    assert elsewhere.status_code == (403 if chain.name == "envoy-grpc" else 451)
    assert elsewhere.json()["status"] == 451
    assert verify.headers["x-guard-challenge-url"] == "https://verify.example/start"
    assert others.status_code == 429
    assert others.headers["anthropic-ratelimit-requests-remaining"] == "0"
    assert others.headers["anthropic-ratelimit-requests-reset"].endswith("Z")
    assert others.headers["request-id"].startswith("r_")
    assert "x-ratelimit-remaining-requests" not in others.headers
    for one in chain.upstream.seen:
        assert {name for name, value in one.headers if "guard" in name and value} >= FACTS
        assert one["x-guard-action"] == "allow"
        assert one["x-guard-account"].startswith("acct_")
        assert not claimed(chain, one)
    assert len(chain.upstream.seen) == 6
    # Nobody but the gateway and the upstream hears of what was found.
    heard = {name for answer in answers for name in answer.headers if name.startswith("x-guard")}
    assert heard == set()


def test_while_the_guard_is_down_nothing_passes(chain: Chain) -> None:
    with chain.gateway():
        answer = chain.ask()

    assert answer.status_code == chain.kind.down
    assert chain.upstream.seen == []


def test_a_gateway_that_fails_open_lets_through_while_the_guard_is_down_and_a_refusal_stands(
    chain: Chain,
) -> None:
    with chain.gateway(fails_open=True) as gateway:
        chain.sees(gateway, up=False)
        unguarded = chain.ask(headers=SPOOFED)
        with chain.guard():
            chain.sees(gateway, up=True)
            statuses = [chain.status(path="/admin"), chain.status(path="/v1/files")]
            statuses += [chain.status() for _ in range(4)]

    assert unguarded.status_code == 200
    assert not claimed(chain, chain.upstream.seen[0])
    assert "x-guard-action" not in chain.upstream.seen[0]
    elsewhere = 403 if chain.name == "envoy-grpc" else 451
    assert statuses == [403, elsewhere, 200, 200, 200, 429]


@pytest.mark.parametrize("chain", ["nginx", "envoy-grpc", "haproxy"], indirect=True)
def test_a_gateway_the_policy_does_not_trust_lets_nothing_through_even_then(chain: Chain) -> None:
    policy = POLICY.replace(TRUSTED, "[192.0.2.1]")
    # Over SPOE a stranger is cut off, which is a failure like any other.
    cut_off = chain.name == "haproxy"

    with chain.guard(policy=policy) as guard, chain.gateway(fails_open=not cut_off):
        assert chain.status() == (503 if cut_off else 403)
        guard.wait_for("127.0.0.1 is not in identify.trusted_proxies")

    assert chain.upstream.seen == []


HANDSHAKE = (
    "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Authorization: Bearer sk-1",
)  # fmt: skip
SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


OTHER = (
    "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk",
    "Authorization: Bearer sk-2",
)  # fmt: skip


def test_a_websocket_is_judged_as_one_and_passes_where_the_policy_lets_it_and_nothing_else_does(
    chain: Chain,
) -> None:
    chain.upstream.scripts["/v1/sockets"] = says(SWITCHING)
    statuses = []

    with chain.guard(), chain.gateway():
        assert chain.status(path="/v1/realtime", method="GET") == 200
        for path in ("/v1/realtime", "/v1/sockets"):
            with Client(chain.port) as client:
                statuses.append(client.send(get(path, *HANDSHAKE)).answer(head_only=True).status)

        with Client(chain.port) as client:
            client.send(get("/v1/other", *OTHER)).answer()

    assert statuses == [403, 101]
    assert chain.upstream.paths()[:2] == ["/v1/realtime", "/v1/sockets"]
    assert not any(one["upgrade"] for one in chain.upstream.seen[2:])


def test_what_stands_behind_a_chunked_body_reaches_no_upstream(chain: Chain) -> None:
    body = b'{"model": "small", "messages": []}'
    raw = get(CHAT, "Transfer-Encoding: chunked", "Trailer: Authorization", "TE: trailers",
              "Content-Type: application/json", method="POST")  # fmt: skip
    behind = b"Authorization: Bearer sk-2\r\nX-Guard-Account: acct_admin\r\n\r\n"

    with chain.guard(), chain.gateway():
        answer = ask(chain.port, raw + chunk(body) + b"0\r\n" + behind)

    assert answer.status == 200
    (seen,) = chain.upstream.seen
    assert (seen.body, seen.trailers) == (body, [])
    assert "authorization" not in seen


#: Fields by which some servers are told of another method, or another path.
OTHER_WORDS = {
    "X-HTTP-Method-Override": "DELETE", "X-HTTP-Method": "DELETE", "X-Method-Override": "DELETE",
    "X-Original-URL": "/admin", "X-Rewrite-URL": "/admin",
}  # fmt: skip


def test_no_field_says_otherwise_than_the_line_that_was_judged(chain: Chain) -> None:
    with chain.guard(), chain.gateway():
        assert chain.status(path="/v1/models", headers=OTHER_WORDS, method="GET") == 200

    (seen,) = chain.upstream.seen
    assert [name for name in OTHER_WORDS if name.lower() in seen] == []


def test_no_client_names_what_the_next_proxy_is_to_drop(chain: Chain) -> None:
    requests = [get("/v1/models", "Connection: X-Guard-Account, close")]
    if not chain.name.startswith("envoy"):
        # Envoy passes on whatever a handshake says there.
        requests.append(get("/v1/s", "Connection: X-Guard-Account, Upgrade", *HANDSHAKE[1:]))

    with chain.guard(), chain.gateway():
        for request in requests:
            ask(chain.port, request)

    assert len(chain.upstream.seen) == len(requests)
    assert not any("guard" in one["connection"].lower() for one in chain.upstream.seen)


#: Heads that gateways pass on in their questions and the guard does not read.
UNREAD = {
    "two types": ("Content-Type: application/json", "Content-Type: text/plain"),
    "two keys": ("X-Api-Key: one", "X-Api-Key: two"),
    "many fields": tuple(f"X-Field-{number}: 1" for number in range(120)),
    "a control byte": ("X-Field: \x01",),
    "an expectation": ("Expect: something",),
}


def test_what_the_guard_does_not_read_is_refused_where_a_gateway_fails_open(chain: Chain) -> None:
    requests = {
        name: get("/admin", "Connection: close", *lines, method="POST", body=b"{}")
        for name, lines in UNREAD.items()
    }

    with chain.guard(), chain.gateway(fails_open=True):
        statuses = {name: ask(chain.port, raw).status for name, raw in requests.items()}

    assert chain.upstream.paths() == []
    assert all(400 <= status < 500 for status in statuses.values()), statuses
    if chain.name == "nginx":
        # It asks without the expectation.
        assert list(statuses.values()) == [400, 400, 431, 400, 403]


@pytest.mark.parametrize("chain", ["envoy", "envoy-grpc", "haproxy", "nginx"], indirect=True)
def test_a_second_key_beside_the_one_that_counts_is_no_new_account(chain: Chain) -> None:
    with chain.guard(), chain.gateway():
        statuses = [
            ask(
                chain.port,
                get(CHAT, "X-Api-Key: one", f"X-Api-Key: {number}", method="POST", body=b"{}"),
            ).status
            for number in range(2)
        ]

    assert chain.upstream.seen == []
    assert set(statuses) <= {400, 401}


def test_a_byte_behind_a_key_that_some_servers_strip_is_no_new_account(chain: Chain) -> None:
    requests = [
        get(CHAT, method="POST", body=b"{}").replace(b"\r\n\r\n", b"\r\n" + key + b"\r\n\r\n", 1)
        for key in (b"Authorization: Bearer sk-1\xa0", b"X-Api-Key: sk-1\x85")
    ]

    with chain.guard(), chain.gateway():
        statuses = [ask(chain.port, request).status for request in requests]

    assert statuses == [401, 401]
    assert chain.upstream.seen == []


@pytest.mark.parametrize("chain", ["envoy"], indirect=True)
def test_envoy_sends_the_body_and_the_guard_judges_it(chain: Chain) -> None:
    with chain.guard(), chain.gateway():
        assert chain.status(model="giant") == 403
        assert chain.status(model="small") == 200


@pytest.mark.parametrize("chain", ["caddy"], indirect=True)
def test_a_report_of_the_real_usage_ends_a_lease(chain: Chain) -> None:
    with chain.guard("--usage-lease", "600") as guard, chain.gateway():
        assert chain.status() == 200
        (seen,) = chain.upstream.seen
        name = seen["x-guard-request-id"]
        url = f"http://127.0.0.1:{guard.admin}/v1/usage"
        reports = [
            httpx.post(url, content=msgspec.json.encode({"request_id": name, "output_tokens": 5}))
            for _ in range(2)
        ]

    assert [report.json() for report in reports] == [
        {"settled": 1, "unknown": []}, {"settled": 0, "unknown": [name]},
    ]  # fmt: skip
