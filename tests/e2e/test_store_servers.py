"""The shared store on real servers of every kind: Valkey, TLS, users with few rights, takeovers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway_guard.campaigns.reviews import Review, Ruling
from gateway_guard.core.credentials import digest
from gateway_guard.errors import StoreError
from gateway_guard.streams.post import Post
from tests import build
from tests.e2e.servers import Sidecar, Upstream, certificate
from tests.e2e.test_campaigns import ASKS, SECRET, chat
from tests.e2e.test_shared_campaigns import active, metric
from tests.servers import (
    PATIENCE,
    REDIS,
    VALKEY,
    Cluster,
    Server,
    needs_redis,
    needs_valkey,
    until,
)
from tests.stores.shared import (
    ACCOUNT,
    CAMPAIGN_RIGHTS,
    CLUSTER_RIGHTS,
    RIGHTS,
    flying,
    opened,
    take,
    tokens,
    used,
)

pytestmark = pytest.mark.e2e
NOW = build.NOW
PROGRAMS = [
    pytest.param(REDIS, marks=needs_redis, id="redis"),
    pytest.param(VALKEY, marks=needs_valkey, id="valkey"),
]


@contextmanager
def clustered(
    *options: str, program: str | None = None, tls: tuple[Path, Path] | None = None
) -> Iterator[Cluster]:
    cluster = Cluster(*options, program=program, tls=tls)
    try:
        yield cluster
    finally:
        cluster.stop()


@pytest.mark.parametrize("program", PROGRAMS)
def test_when_a_replica_takes_over_by_order_no_request_fails_and_no_count_is_lost(
    program: str,
) -> None:
    async def main(cluster: Cluster) -> tuple[int, float, float]:
        master = cluster.node_of(f"{{{ACCOUNT}}}")
        replica = await asyncio.to_thread(cluster.follow, master)
        one = tokens(capacity=1e6)
        # Its master makes everybody wait while the replica catches up.
        async with opened(cluster.uri, timeout=2 * PATIENCE) as store:
            granted = int(await take(store, one, flying(99.0)))
            promoting = asyncio.create_task(asyncio.to_thread(cluster.promote, replica))
            while not promoting.done():
                granted += sum(await asyncio.gather(*(take(store, one) for _ in range(8))))
            await promoting
            granted += await take(store, one)
            return granted, await used(store, one), await used(store, flying(99.0))

    with clustered(program=program) as cluster:
        granted, level, flown = asyncio.run(main(cluster))

    assert level == granted
    assert flown == 1.0


@needs_redis
def test_when_a_master_of_a_cluster_dies_its_replica_goes_on_with_the_same_counts() -> None:
    async def main(cluster: Cluster) -> tuple[float, float]:
        master = cluster.node_of(f"{{{ACCOUNT}}}")
        replica = await asyncio.to_thread(cluster.follow, master)
        others = (f"acct_{letter * 16}" for letter in "abcdefghijklmnop")
        elsewhere = next(who for who in others if cluster.node_of(f"{{{who}}}") is not master)
        async with opened(cluster.uri, timeout=1.0) as store:
            await take(store, tokens(4.0), id="before")
            await take(store, tokens(who=elsewhere))
            # Replication is asynchronous: without this the last write may be lost.
            assert master.do("WAIT", 1, int(PATIENCE * 1_000)) == 1
            master.kill()
            with pytest.raises(StoreError):
                await take(store, tokens())
            assert await take(store, tokens(who=elsewhere))
            # Not after the Cluster's own time-out, which a busy machine runs into by itself.
            replica.do("CLUSTER", "FAILOVER", "TAKEOVER")
            async with asyncio.timeout(3 * PATIENCE):
                while True:
                    try:
                        assert await take(store, tokens())
                        return await used(store, tokens()), await used(store, tokens(who=elsewhere))
                    except StoreError:
                        await asyncio.sleep(0.05)

    with clustered() as cluster:
        assert asyncio.run(main(cluster)) == (5.0, 2.0)


@needs_redis
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_with_tls_both_sides_show_a_certificate_and_what_is_not_signed_is_refused(
    tmp_path: Path, host: str
) -> None:
    ours, key = certificate(tmp_path)
    stranger, _ = certificate(tmp_path / "stranger")

    async def main(port: int) -> tuple[float, list[str]]:
        uri = f"async+rediss://{host}:{port}/0?ssl_ca_certs="
        shown = f"&ssl_certfile={ours}&ssl_keyfile={key}"
        async with opened(f"{uri}{ours}{shown}") as store:
            await take(store, tokens(4.0), flying())
            level = await used(store, tokens())
        said = []
        for wrong in (
            f"{uri}{stranger}{shown}",
            f"{uri}{ours}",
            f"redis://{host}:{port}/0",
        ):
            async with opened(wrong) as store:
                with pytest.raises(StoreError) as caught:
                    await take(store, tokens())
                said.append(str(caught.value))
        return level, said

    with Server(tls=(ours, key)) as server:
        level, said = asyncio.run(main(server.port))

    assert level == 4.0
    assert "CERTIFICATE_VERIFY_FAILED" in said[0].upper().replace(" ", "_")
    assert all("unreachable" in one for one in said)


@needs_redis
def test_a_cluster_is_followed_over_tls_as_a_user_with_the_documented_rights(
    tmp_path: Path,
) -> None:
    ours, key = certificate(tmp_path)
    rights = ("on", ">p@ss", "~*", *RIGHTS.split(), *CLUSTER_RIGHTS.split())
    accounts = [f"acct_{letter * 16}" for letter in "abcdefgh"]

    async def main(cluster: Cluster) -> float:
        hosts = cluster.uri.partition("://")[2]
        uri = f"rediss+cluster://guard:p%40ss@{hosts}?ssl_ca_certs={ours}"
        async with opened(uri) as store:
            await asyncio.gather(*(take(store, tokens(2.0, who=who)) for who in accounts))
            return sum([await used(store, tokens(who=who)) for who in accounts])

    options = ("tls-cluster yes", "tls-replication yes", "tls-auth-clients no")
    with clustered(*options, tls=(ours, key)) as cluster:
        assert len({cluster.node_of(f"{{{who}}}").port for who in accounts}) == 3
        for node in cluster.nodes:
            node.do("ACL", "SETUSER", "guard", *rights)
        assert asyncio.run(main(cluster)) == 16.0
        assert [node.do("ACL", "LOG") for node in cluster.nodes] == [[], [], []]


LIMITED = ASKS + "limits:\n  requests: { per: account, requests: 3/hour }\n"


@needs_redis
def test_a_sidecar_counts_and_learns_over_tls_as_a_user_with_the_documented_rights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, key = certificate(tmp_path)
    # A busy machine must not look like a slow server.
    monkeypatch.setenv("GATEWAY_GUARD_STORE_BUDGET", "10000")
    with Server("tls-auth-clients no", tls=(ours, key)) as server, Upstream() as upstream:
        rights = (*RIGHTS.split(), *CAMPAIGN_RIGHTS.split())
        server.do("ACL", "SETUSER", "guard", "on", ">p@ss", "~gg:*", *rights)
        uri = f"rediss://guard:p%40ss@localhost:{server.port}/0?ssl_ca_certs={ours}"
        with Sidecar(tmp_path, upstream.url, f"--store={uri}", policy=LIMITED) as sidecar:
            until(lambda: active(sidecar.admin) == 1.0, "it links")
            statuses = [chat(sidecar.port) for _ in range(5)]
            until(
                lambda: metric(sidecar.admin, "linker_learnt_total").get("") == 5.0,
                "it learns what it saw",
            )
            post = Post(uri, "gg", SECRET)
            account = digest(SECRET, b"sk-e2e")
            post.review(Review(at=time.time(), ruling=Ruling.BAN, account=account))
            until(lambda: chat(sidecar.port) == 403, "it hears of the ban")
            there = post.guards()
        refused = server.do("ACL", "LOG")
        lines = "\n".join(sidecar.lines)

    assert statuses == [200, 200, 200, 429, 429]
    assert len(there) == 1
    assert refused == []
    assert "p@ss" not in lines
    assert "p%40ss" not in lines
