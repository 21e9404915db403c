"""Envoy's services over real gRPC: trust, leases, the access log, and how the server ends."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Self

import grpc
import grpc.aio
import pytest

from gateway_guard.errors import SettingsError
from gateway_guard.frontends.envoy import api
from gateway_guard.frontends.envoy.server import EnvoyServer
from gateway_guard.frontends.extauth import settling
from gateway_guard.frontends.extauth.usage import Report
from gateway_guard.types import Outcome
from tests import build
from tests.e2e.servers import certificate
from tests.frontends.asking import POLICY, Asked, trusting
from tests.frontends.envoy.asking import check, logged, rate

CHECK = "/envoy.service.auth.v3.Authorization/Check"
RATE = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"
LOGS = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs"


class Running(Asked):
    """A server on a free port, and Envoy's end of a connection to it."""

    def __init__(self, policy: str = POLICY, *, address: str = "127.0.0.1:0", **desk: Any) -> None:
        super().__init__(policy, **desk)
        self.server = EnvoyServer(self.desk)
        self._address = address

    async def __aenter__(self) -> Self:
        self.bound = await self.server.start(self._address)
        self.channel: Any = grpc.aio.insecure_channel(self.bound)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.channel.close()
        await self.server.close(drain=0.0)
        await self.desk.close()

    async def check(self, message: Any = None, **question: Any) -> Any:
        message = check(**question) if message is None else message
        raw = message if isinstance(message, bytes) else message.SerializeToString()
        return api.CheckResponse.FromString(await self.channel.unary_unary(CHECK)(raw))

    async def rate(self, message: bytes) -> Any:
        return api.RateLimitResponse.FromString(await self.channel.unary_unary(RATE)(message))

    async def log(self, *messages: Any) -> None:
        """Send messages of an access log and wait until they have been read."""

        async def sending() -> AsyncIterator[bytes]:
            for message in messages:
                yield message if isinstance(message, bytes) else message.SerializeToString()

        await self.channel.stream_unary(LOGS)(sending())


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(scenario())  # type: ignore[arg-type]


def request_id(response: Any) -> str:
    (found,) = [f.value for f in response.dynamic_metadata.fields if f.key == b"request_id"]
    name: str = found.string_value.decode()
    return name


def status(response: Any) -> int:
    code: int = response.denied_response.status.code
    return code if response.HasField("denied_response") else 200


def test_a_request_within_its_limits_is_allowed_and_the_next_one_is_not() -> None:
    async def scenario() -> None:
        async with Running() as envoy:
            answers = [await envoy.check(body=build.chat_body()) for _ in range(4)]
        assert [status(answer) for answer in answers] == [200, 200, 200, 429]

    run(scenario)


def test_a_body_is_judged() -> None:
    async def scenario() -> None:
        async with Running() as envoy:
            response = await envoy.check(body=build.chat_body(model="giant"))
        assert status(response) == 403
        assert b"unsupported_country" in response.denied_response.body

    run(scenario)


def test_the_client_is_the_one_envoy_names_and_not_envoy() -> None:
    async def scenario() -> None:
        async with Running(policy=POLICY.replace("x-forwarded-for", "peer")) as envoy:
            await envoy.check(source="192.0.2.77")
        (exchange,) = envoy.learnt
        assert exchange.request.client_ip == "192.0.2.77"

    run(scenario)


def test_a_forwarding_header_is_believed_behind_a_trusted_balancer_only() -> None:
    headers = {"x-forwarded-for": "198.51.100.9"}

    async def scenario() -> None:
        async with Running() as envoy:
            await envoy.check(source="192.0.2.77", headers=headers)
            await envoy.check(source="127.0.0.9", headers=headers)
        addresses = [exchange.request.client_ip for exchange in envoy.learnt]
        assert addresses == ["192.0.2.77", "198.51.100.9"]

    run(scenario)


def test_nobody_but_a_trusted_peer_may_ask_and_nothing_of_it_is_read(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        async with Running(trusting("10.0.0.0/8")) as envoy:
            assert status(await envoy.check()) == 403
            assert (await envoy.rate(rate({"limit": "requests"}))).overall_code == 2
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await envoy.log(logged())
            assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert envoy.learnt == []
        assert envoy.desk.misasked == 3

    run(scenario)
    assert "127.0.0.1 is not in identify.trusted_proxies" in caplog.text


@pytest.mark.parametrize(
    "message", [b"", b"\xff\xff", api.CheckRequest().SerializeToString(), check(source=None)]
)
def test_a_malformed_question_is_refused_and_counted(
    message: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with Running() as envoy:
            assert status(await envoy.check(message)) == 403
        assert envoy.desk.misasked == 1
        assert envoy.learnt == []

    run(scenario)
    assert "a question was refused (1 so far)" in caplog.text


def test_misasked_questions_are_logged_ever_more_rarely(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with Running() as envoy:
            for _ in range(9):
                await envoy.check(b"\xff")
            for _ in range(9):
                await envoy.rate(rate({"limit": "elsewhere"}))

    run(scenario)
    assert caplog.text.count("a question was refused") == 4
    assert caplog.text.count("a descriptor was not understood") == 4


def test_a_question_that_breaks_the_guard_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_wire: object) -> None:
        raise RuntimeError

    async def scenario() -> None:
        async with Running() as envoy:
            monkeypatch.setattr(envoy.guard, "decide", broken)
            assert status(await envoy.check()) == 403
            assert (await envoy.rate(b"\xff")).overall_code == 2

    run(scenario)


def test_a_call_without_a_message_is_refused() -> None:
    async def nothing() -> AsyncIterator[bytes]:
        return
        yield b""

    async def scenario() -> None:
        async with Running() as envoy:
            raw = await envoy.channel.stream_unary(CHECK)(nothing())
            assert status(api.CheckResponse.FromString(raw)) == 403

    run(scenario)


def test_a_question_of_many_megabytes_is_no_error() -> None:
    # gRPC's own limit is 4 MB; an error here would let the request through where Envoy fails open.
    async def scenario() -> None:
        async with Running() as envoy:
            assert status(await envoy.check(body=b"x" * 9_000_000)) == 413

    run(scenario)


def test_without_leases_a_request_is_settled_at_once_by_its_estimate() -> None:
    async def scenario() -> None:
        async with Running() as envoy:
            for _ in range(3):
                assert status(await envoy.check()) == 200
            assert len(envoy.learnt) == 3

    run(scenario)


def test_the_access_log_ends_a_lease_and_frees_its_place() -> None:
    async def scenario() -> None:
        async with Running(lease=60.0) as envoy:
            first = await envoy.check()
            await envoy.check()
            assert status(await envoy.check()) == 429
            await envoy.log(logged(request_id(first), status=200))
            assert status(await envoy.check()) == 200
            ended = envoy.learnt[1].usage
            assert ended is not None
            assert (ended.outcome, ended.status) == (Outcome.COMPLETED, 200)

    run(scenario)


def test_the_access_log_brings_the_real_usage() -> None:
    async def scenario() -> None:
        async with Running(lease=60.0) as envoy:
            first = await envoy.check(body=build.chat_body(max_tokens=10))
            counted = {"x-guard-input-tokens": "15000", "x-guard-output-tokens": "4999"}
            await envoy.log(logged(request_id(first), headers=counted))
            refused = await envoy.check(body=build.chat_body(max_tokens=10))
            assert status(refused) == 429
            assert b"tokens" in refused.denied_response.body

    run(scenario)


def test_the_log_of_a_refusal_ends_nothing_twice() -> None:
    async def scenario() -> None:
        async with Running(lease=60.0) as envoy:
            refused = await envoy.check(method="DELETE")
            await envoy.log(logged(request_id(refused), status=403, decision={"status": 403.0}))
            assert len(envoy.learnt) == 1
            assert envoy.desk.leases.unknown == 0

    run(scenario)


def test_a_log_that_cannot_be_read_is_counted_and_the_stream_goes_on() -> None:
    async def scenario() -> None:
        async with Running(lease=60.0) as envoy:
            first = await envoy.check()
            await envoy.log(b"\xff", logged(request_id(first)), logged("r_never"))
            assert envoy.desk.misasked == 1
            assert len(envoy.learnt) == 1
            assert envoy.desk.leases.unknown == 1

    run(scenario)


def test_a_report_ends_a_lease_too() -> None:
    async def scenario() -> None:
        async with Running(lease=60.0) as envoy:
            name = request_id(await envoy.check())
            assert await envoy.desk.report(Report(request_id=name, output_tokens=5))
            assert not await envoy.desk.report(Report(request_id=name, output_tokens=5))

    run(scenario)


def test_leases_that_run_out_are_settled_by_the_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "_LOOK", 0.001)

    async def scenario() -> None:
        async with Running(lease=60.0) as envoy:
            settled = asyncio.Event()
            envoy.guard.learners = (*envoy.guard.learners, lambda _: settled.set())
            await envoy.check()
            assert envoy.learnt == []
            envoy.clock.now += 61.0
            await asyncio.wait_for(settled.wait(), 60)
        assert envoy.desk.leases.expired == 1

    run(scenario)


def test_beyond_a_hundred_thousand_leases_the_oldest_is_settled() -> None:
    async def scenario() -> None:
        async with Running(lease=60.0) as envoy:
            envoy.desk.leases._most = 1
            await envoy.check()
            await envoy.check(key="sk-2")
            assert len(envoy.learnt) == 1

    run(scenario)


def test_the_log_may_speak_of_another_frontends_requests() -> None:
    async def scenario() -> None:
        async with Running(lease=60.0) as envoy:
            theirs = await envoy.desk.decide(build.wire())
            await envoy.log(logged(theirs.facts["request-id"]))
            assert len(envoy.learnt) == 1

    run(scenario)


def test_what_is_still_leased_at_the_end_is_settled() -> None:
    async def scenario() -> None:
        async with Running(lease=60.0) as envoy:
            await envoy.check()
        assert len(envoy.learnt) == 1

    run(scenario)


def test_decisions_are_timed() -> None:
    took: list[float] = []

    async def scenario() -> None:
        async with Running(on_decided=took.append) as envoy:
            await envoy.check()

    run(scenario)
    assert len(took) == 1
    assert 0.0 < took[0] < 60.0


def test_over_a_unix_socket_the_policy_says_whether_it_is_believed(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/guard.sock"
    statuses = []

    async def scenario() -> None:
        for policy in (POLICY, trusting("unix")):
            async with Running(policy, address=address) as envoy:
                statuses.append(status(await envoy.check()))
                assert (tmp_path / "guard.sock").stat().st_mode & 0o777 == 0o660

    run(scenario)
    assert statuses == [403, 200]


def test_over_tls_questions_are_sealed(tmp_path: Path) -> None:
    chain, key = (path.read_bytes() for path in certificate(tmp_path))

    async def scenario() -> None:
        server = EnvoyServer(Asked().desk)
        bound = await server.start("127.0.0.1:0", tls=grpc.ssl_server_credentials([(key, chain)]))
        port = bound.rpartition(":")[2]
        trust = grpc.ssl_channel_credentials(chain)
        channel: Any
        async with grpc.aio.secure_channel(f"localhost:{port}", trust) as channel:
            raw = await channel.unary_unary(CHECK)(check().SerializeToString())
        await server.close(drain=0.0)
        assert status(api.CheckResponse.FromString(raw)) == 200

    run(scenario)


def test_an_address_that_is_taken_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "guard.sock"
    (tmp_path / "file").write_text("")

    async def scenario() -> None:
        async with Running() as envoy, Running(address=f"unix:{path}"):
            taken = (envoy.bound, f"unix:{path}", f"unix:{tmp_path}/file", "nowhere", "")
            for address in taken:
                with pytest.raises(SettingsError, match="cannot listen on"):
                    await EnvoyServer(Asked().desk).start(address)

    run(scenario)


def test_a_socket_left_behind_by_a_dead_process_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "guard.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    async def scenario() -> None:
        async with Running(trusting("unix"), address=f"unix:{path}") as envoy:
            assert status(await envoy.check()) == 200

    run(scenario)
