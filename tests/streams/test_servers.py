"""The same on a Cluster and behind Sentinels, and over a failover."""

from __future__ import annotations

from contextlib import ExitStack
from typing import cast

import pytest

from gateway_guard.streams.shared import SharedLinking
from tests.campaigns import ring
from tests.servers import Server, needs_redis, sentinels, shared_cluster, until
from tests.streams.team import Team, active, alone, contained, exchanges, send

pytestmark = needs_redis


class At:
    """A server of which only the address counts."""

    def __init__(self, uri: str) -> None:
        self.uri = uri


def crew_at(uri: str, stack: ExitStack) -> Team:
    return Team(cast("Server", At(uri)), stack)


def found(linker: SharedLinking, *guards: SharedLinking) -> None:
    send(ring.stream(), *guards)
    until(lambda: contained(linker, *guards), "all contain the campaign")
    until(lambda: exchanges(linker) == alone(ring.stream()), "each counted once")


def test_a_cluster_holds_all_streams_in_one_slot() -> None:
    cluster = shared_cluster()
    with ExitStack() as stack:
        crew = crew_at(cluster.uri, stack)
        linker, one = crew.linker(), crew.guard()
        found(linker, one)
        linker.close()
        heir = crew.linker()

        until(lambda: exchanges(heir) == alone(ring.stream()), "each counted once")
        slots = {
            cluster.slot(str(key)) for key in vars(crew.keys).values() for key in [key.decode()]
        }
        assert len(slots) == 1


@pytest.mark.e2e
def test_verdicts_survive_a_failover_and_are_followed_on() -> None:
    with sentinels() as trio, ExitStack() as stack:
        crew = crew_at(trio.uri, stack)
        linker, one = crew.linker(), crew.guard()
        found(linker, one)

        trio.master.kill()
        until(lambda: trio.master_port() == trio.replica.port, "the replica takes over")
        until(lambda: active(linker) and one.follower.current, "all follow it")
        crew.server = trio.replica
        send(ring.stream(exchanges=2), one)
        total = sum(alone(ring.stream()).values()) + sum(alone(ring.stream(exchanges=2)).values())
        until(lambda: sum(exchanges(linker).values()) == total, "and learn on")

        until(lambda: contained(one, linker), "all still contain the campaign")
