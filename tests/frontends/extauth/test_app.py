"""A gateway asks, a real guard answers: trust, bodies, leases and reports."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import msgspec
import pytest
from starlette.applications import Starlette

from gateway_guard.frontends.extauth import settling
from gateway_guard.frontends.extauth.app import ExternalAuth
from gateway_guard.frontends.extauth.usage import usage_route
from gateway_guard.frontends.inbound import GuardProtocol
from gateway_guard.frontends.patience import Limits
from tests import build
from tests.frontends import asking
from tests.frontends.asking import CHAT, HANDSHAKE, POLICY, trusting
from tests.frontends.conversation import conversation
from tests.frontends.fakes import Client, body_of, http_scope

GATEWAY = "127.0.0.1"


class Asked(asking.Asked):
    """A gateway and the guard it asks, over ASGI."""

    def __init__(self, policy: str = POLICY, **desk: Any) -> None:
        super().__init__(policy, **desk)
        self.app = ExternalAuth(self.desk)

    def ask(self, path: str = "/auth/nginx", peer: str = GATEWAY, **request: Any) -> httpx.Response:
        return asyncio.run(self.ask_now(path, peer, **request))

    async def ask_now(
        self, path: str = "/auth/nginx", peer: str = GATEWAY, *, method: str = "GET",
        original: str = "POST", target: str = CHAT, key: str = "sk-1", body: bytes = b"",
        **headers: str,
    ) -> httpx.Response:  # fmt: skip
        named = "x-original" if path.endswith("nginx") else "x-forwarded"
        fields = {
            f"{named}-method": original, f"{named}-uri": target, "authorization": f"Bearer {key}",
            "x-forwarded-for": "192.0.2.7", "content-type": "application/json",
        } | {name.replace("_", "-"): value for name, value in headers.items()}  # fmt: skip
        transport = httpx.ASGITransport(app=self.app, client=(peer, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://guard") as client:
            return await client.request(method, path, headers=fields, content=body)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(scenario())  # type: ignore[arg-type]


def test_a_request_within_its_limits_is_allowed_and_the_next_one_is_not() -> None:
    gateway = Asked()

    answers = [gateway.ask("/auth/forward") for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[0].headers["x-guard-account"].startswith("acct_")
    assert answers[0].headers["ratelimit"]
    assert int(answers[3].headers["retry-after"]) == 20
    assert answers[3].json()["error"]["code"] == "rate_limit_exceeded"


def test_nginx_hears_403_and_finds_the_429_in_fields() -> None:
    gateway = Asked()

    answers = [gateway.ask() for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 403]
    assert answers[3].headers["x-guard-status"] == "429"
    assert answers[3].headers["x-guard-retry-after"] == "20"
    body = msgspec.json.decode(answers[3].headers["x-guard-body"])
    assert body["error"]["code"] == "rate_limit_exceeded"


def test_two_keys_that_envoy_has_joined_are_no_new_account() -> None:
    gateway = Asked()

    answers = [
        gateway.ask(f"/auth/envoy{CHAT}", method="POST", body=build.chat_body(), key="", **fields)
        for fields in (
            {"x_api_key": "one"},
            {"x_api_key": "one,two"},
            {"authorization": "Bearer a,b"},
        )
    ]

    assert [answer.status_code for answer in answers] == [200, 401, 401]


def test_the_client_is_the_one_the_gateway_names() -> None:
    gateway = Asked()
    gateway.ask()

    (exchange,) = gateway.learnt
    assert exchange.request.client_ip == "192.0.2.7"


@pytest.mark.parametrize("path", ["/auth/nginx", "/auth/forward"])
def test_nobody_but_a_trusted_gateway_may_ask(path: str, caplog: pytest.LogCaptureFixture) -> None:
    gateway = Asked()

    answer = gateway.ask(path, peer="203.0.113.9")

    assert answer.status_code == 403
    assert gateway.desk.misasked == 1
    assert gateway.learnt == []
    assert "203.0.113.9 is not in identify.trusted_proxies" in caplog.text


def test_a_gateway_that_forgets_to_name_the_request_is_refused_and_told_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gateway = Asked()

    answer = gateway.ask("/auth/nginx", x_original_uri="")

    assert (answer.status_code, gateway.learnt) == (403, [])
    assert "x-original-uri" in caplog.text


def test_a_guard_that_cannot_answer_refuses(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = Asked()

    async def fail(_wire: object) -> None:
        raise RuntimeError("secret of the client")

    monkeypatch.setattr(gateway.guard, "decide", fail)

    assert gateway.ask().status_code == 403
    assert "RuntimeError" in caplog.text
    assert "secret" not in caplog.text


def test_what_the_client_claims_of_the_guard_is_not_believed() -> None:
    gateway = Asked()

    answer = gateway.ask("/auth/forward", x_guard_account="acct_admin", x_guard_action="allow")

    assert answer.headers["x-guard-account"] != "acct_admin"


def test_elsewhere_there_is_nothing() -> None:
    assert Asked().ask("/v1/chat/completions").status_code == 404


def test_a_body_the_gateway_sends_is_judged() -> None:
    gateway = Asked()
    body = build.chat_body(model="giant")

    answer = gateway.ask(f"/auth/envoy{CHAT}", method="POST", body=body)

    assert answer.status_code == 451


def test_a_body_the_gateway_cuts_is_one_that_cannot_be_read() -> None:
    gateway = Asked()
    body = build.chat_body()

    whole = gateway.ask(f"/auth/envoy{CHAT}", method="POST", body=body)
    cut = gateway.ask(
        f"/auth/envoy{CHAT}", method="POST", body=body[:20], x_envoy_auth_partial_body="true"
    )

    assert (whole.status_code, cut.status_code) == (200, 413)


def test_without_a_body_the_rest_is_judged() -> None:
    gateway = Asked()

    assert gateway.ask(original="DELETE").headers["x-guard-status"] == "403"
    assert gateway.ask().status_code == 200


def test_head_is_answered_without_a_body() -> None:
    answer = Asked().ask("/auth/envoy/v1/files", peer="203.0.113.9", method="HEAD")

    assert (answer.status_code, answer.content) == (403, b"")


def test_without_leases_a_request_is_settled_at_once_by_its_estimate() -> None:
    gateway = Asked()
    for _ in range(3):
        assert gateway.ask().status_code == 200

    assert len(gateway.learnt) == 3
    assert len(gateway.desk.leases) == 0


@pytest.mark.parametrize("original", ["OPTIONS", "GET", "HEAD"])
def test_a_preflight_costs_no_tokens(original: str) -> None:
    gateway = Asked()

    answer = gateway.ask("/auth/forward", original=original)

    assert answer.status_code == 200
    (exchange,) = gateway.learnt
    assert exchange.plan is not None
    assert {charge.limit for charge in exchange.plan.charges} == {"requests", "in-flight"}


def test_with_leases_a_request_stays_in_flight_until_it_is_reported() -> None:
    gateway = Asked(lease=60.0)

    async def scenario() -> None:
        first = await gateway.ask_now("/auth/forward")
        await gateway.ask_now("/auth/forward")
        third = await gateway.ask_now("/auth/forward")
        assert third.status_code == 429
        assert (await report(gateway, {"request_id": first.headers["x-guard-request-id"]})) == {
            "settled": 1, "unknown": [],
        }  # fmt: skip
        assert (await gateway.ask_now("/auth/forward")).status_code == 200

    run(scenario)


async def report(gateway: Asked, value: object, status: int = 200) -> Any:
    """POST a report to the admin application."""
    admin = Starlette(routes=[usage_route(gateway.desk.report)])
    transport = httpx.ASGITransport(app=admin)
    async with httpx.AsyncClient(transport=transport, base_url="http://admin") as client:
        content = value if isinstance(value, bytes) else msgspec.json.encode(value)
        answer = await client.post("/v1/usage", content=content)
        assert answer.status_code == status
        return answer.json()


def test_a_report_replaces_the_estimate() -> None:
    gateway = Asked(lease=60.0)

    async def scenario() -> None:
        asked = await gateway.ask_now("/auth/forward")
        name = asked.headers["x-guard-request-id"]
        await report(gateway, {"request_id": name, "input_tokens": 15000, "output_tokens": 4999})
        refused = await gateway.ask_now("/auth/forward")
        assert refused.status_code == 429
        assert "tokens" in refused.json()["error"]["message"]

    run(scenario)
    usage = gateway.learnt[0].usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.reported) == (15000, 4999, True)


@pytest.mark.parametrize(
    ("said", "counted"),
    [
        ({"total_tokens": 900}, (12, 888)),  # the prompt's estimate, and the rest
        ({"total_tokens": 10}, (10, 0)),
        ({"total_tokens": 900, "input_tokens": 100}, (100, 800)),
        ({"total_tokens": 900, "output_tokens": 100}, (800, 100)),
        ({"total_tokens": 900, "output_tokens": 1000}, (0, 1000)),
        ({"total_tokens": 900, "input_tokens": 600, "output_tokens": 300}, (600, 300)),
    ],
)
def test_a_total_is_told_apart_by_the_estimate_of_the_prompt(
    said: dict[str, int], counted: tuple[int, int]
) -> None:
    gateway = Asked(lease=60.0)

    async def scenario() -> None:
        asked = await gateway.ask_now("/auth/envoy" + CHAT, method="POST", body=build.chat_body())
        await report(gateway, {"request_id": asked.headers["x-guard-request-id"], **said})

    run(scenario)
    usage = gateway.learnt[0].usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == counted
    assert usage.reported


def test_a_total_of_what_writes_nothing_was_read() -> None:
    gateway = Asked(lease=60.0)

    async def scenario() -> None:
        body = b'{"model": "e", "input": "hello"}'
        asked = await gateway.ask_now("/auth/envoy/v1/embeddings", method="POST", body=body)
        name = asked.headers["x-guard-request-id"]
        await report(gateway, {"request_id": name, "total_tokens": 5000})

    run(scenario)
    usage = gateway.learnt[0].usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (5000, 0)


@pytest.mark.parametrize(
    ("said", "counted"),
    [
        ({"status": 400}, (0, 0)),
        ({"status": 502}, (0, 0)),
        ({"status": 399}, (None, None)),
        ({}, (None, None)),
        ({"status": 502, "output_tokens": 7}, (None, 7)),
    ],
)
def test_a_report_of_a_refusal_by_the_upstream_costs_nothing_unless_it_counts(
    said: dict[str, int], counted: tuple[int | None, int | None]
) -> None:
    gateway = Asked(lease=60.0)

    async def scenario() -> None:
        asked = await gateway.ask_now("/auth/forward")
        await report(gateway, {"request_id": asked.headers["x-guard-request-id"], **said})

    run(scenario)
    usage = gateway.learnt[0].usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == counted


def test_a_second_report_of_the_same_request_changes_nothing() -> None:
    gateway = Asked(lease=60.0)

    async def scenario() -> None:
        name = (await gateway.ask_now("/auth/forward")).headers["x-guard-request-id"]
        one = {"request_id": name, "output_tokens": 5}
        assert await report(gateway, [one, one, {"request_id": "r_never"}]) == {
            "settled": 1, "unknown": [name, "r_never"],
        }  # fmt: skip

    run(scenario)
    assert len(gateway.learnt) == 1


@pytest.mark.parametrize(
    "value",
    [b"", b"{", b'"r_1"', b"{}", b'{"request_id": "r_1", "output_tokens": -1}',
     b'{"request_id": "r_1", "tokens": 3}', b'{"request_id": "r_1", "status": 7}',
     b'[{"request_id": 3}]', b'{"request_id": "\xff"}'],
)  # fmt: skip
def test_a_report_that_cannot_be_read_settles_nothing_and_says_what_is_expected(
    value: bytes,
) -> None:
    gateway = Asked(lease=60.0)

    async def scenario() -> None:
        said = await report(gateway, value, status=400)
        assert "request_id" in said["expected"]
        assert said["error"]

    run(scenario)


def test_a_report_beyond_a_megabyte_is_refused() -> None:
    async def scenario() -> None:
        assert "1048576" in (await report(Asked(), b"[" * 1_100_000, status=413))["error"]

    run(scenario)


def test_leases_that_run_out_are_settled_by_the_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "_LOOK", 0.001)
    gateway = Asked(lease=60.0)

    async def scenario() -> None:
        await gateway.ask_now("/auth/forward")
        assert gateway.learnt == []
        gateway.clock.now += 61.0
        async with asyncio.timeout(60):
            while not gateway.learnt:  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    run(scenario)
    assert gateway.desk.leases.expired == 1


@pytest.mark.parametrize("leaves", [True, False])
def test_what_a_gateway_has_given_up_asking_about_is_leased_to_nobody(*, leaves: bool) -> None:
    gateway = Asked(trusting("unix"), lease=60.0)
    asked = (
        "GET /auth/forward HTTP/1.1\r\nHost: guard\r\nX-Forwarded-Method: POST\r\n"
        f"X-Forwarded-Uri: {CHAT}\r\nAuthorization: Bearer sk-1\r\n\r\n"
    ).encode()
    bound = GuardProtocol.bound(Limits(), asked=True)

    got = conversation(bound, gateway.app, asked, lambda got: b"\r\n\r\n" in got, leaves=leaves)

    assert got.startswith(b"HTTP/1.1 200")
    assert len(gateway.desk.leases) == (0 if leaves else 1)
    assert [exchange.usage.output_tokens for exchange in gateway.learnt if exchange.usage] == (
        [0] if leaves else []
    )


def test_what_is_still_leased_at_the_end_is_settled() -> None:
    gateway = Asked(lease=60.0)

    async def scenario() -> None:
        await gateway.ask_now("/auth/forward")
        server = Client([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
        await gateway.app({"type": "lifespan"}, server.receive, server.send)
        assert [message["type"] for message in server.sent] == [
            "lifespan.startup.complete", "lifespan.shutdown.complete",
        ]  # fmt: skip
        # Others may still be asking the same desk.
        assert gateway.learnt == []
        await gateway.desk.close()

    run(scenario)
    assert len(gateway.learnt) == 1


def test_a_gateway_that_leaves_before_its_question_is_complete_costs_nothing() -> None:
    gateway = Asked()
    scope = http_scope(
        "/auth/envoy/v1/messages", client=(GATEWAY, 1), headers={"content-length": "10"}
    )
    client = Client([{"type": "http.request", "body": b"{", "more_body": True}])
    client.leave()

    run(lambda: gateway.app(scope, client.receive, client.send))

    assert gateway.learnt == []
    assert client.status == 403


def test_over_a_unix_socket_the_policy_says_whether_it_is_believed() -> None:
    headers = {"x-original-method": "POST", "x-original-uri": CHAT, "x-forwarded-for": "192.0.2.7"}
    statuses = []
    for policy in (POLICY, trusting("unix")):
        gateway = Asked(policy=policy)
        client = Client(body_of(b""))
        scope = http_scope("/auth/nginx", method="GET", client=None, headers=headers)
        run(lambda gateway=gateway, client=client, scope=scope: gateway.app(  # type: ignore[misc]
            scope, client.receive, client.send))  # fmt: skip
        statuses.append(client.status)

    assert statuses == [403, 200]


SOCKET = "/v1/realtime"


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/auth/nginx", {"x_original_upgrade": "websocket"}),
        ("/auth/forward", {"sec_websocket_key": HANDSHAKE["sec-websocket-key"]}),
        (f"/auth/envoy{SOCKET}", HANDSHAKE),
        ("/auth/forward", HANDSHAKE),
    ],
)
def test_a_handshake_is_judged_as_a_websocket(path: str, headers: dict[str, str]) -> None:
    gateway = Asked()

    plain = gateway.ask(path, original="GET", target=SOCKET)
    socket = gateway.ask(path, original="GET", target=SOCKET, **headers)

    assert plain.status_code == 200
    assert int(socket.headers.get("x-guard-status", socket.status_code)) == 404
    assert [exchange.request.method for exchange in gateway.learnt] == ["GET", "WEBSOCKET"]


@pytest.mark.parametrize("path", ["/auth/nginx", "/auth/forward", f"/auth/envoy{SOCKET}"])
def test_a_key_that_a_browser_offers_as_a_subprotocol_is_the_account_of_that_key(path: str) -> None:
    gateway = Asked()
    offers = {"sec_websocket_protocol": "realtime, openai-insecure-api-key.sk-1"}

    gateway.ask(path, original="GET", target=SOCKET, key="sk-1", **HANDSHAKE)
    gateway.ask(path, original="GET", target=SOCKET, key="", **HANDSHAKE, **offers)

    plain, offered = gateway.learnt
    assert plain.request.account is not None
    assert offered.request.account == plain.request.account


def test_a_question_that_is_a_handshake_itself_is_answered_over_http() -> None:
    headers = {"x-forwarded-method": "GET", "x-forwarded-for": "192.0.2.7", **HANDSHAKE}
    statuses = []
    for target in (SOCKET, "/v1/other"):
        gateway = Asked()
        client = Client([{"type": "websocket.connect"}])
        scope = http_scope(
            "/auth/forward", client=(GATEWAY, 1), headers=headers | {"x-forwarded-uri": target}
        )
        del scope["method"]
        scope["type"] = "websocket"
        run(lambda gateway=gateway, client=client, scope=scope: gateway.app(  # type: ignore[misc]
            scope, client.receive, client.send))  # fmt: skip
        statuses.append(client.status)
        assert [message["type"] for message in client.sent] == [
            "websocket.http.response.start", "websocket.http.response.body",
        ]  # fmt: skip

    assert statuses == [404, 200]
