"""The dashboard of a guard with a shared store: what the linker saved, and whom decisions reach."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from gateway_guard.campaigns.ended import Why
from gateway_guard.campaigns.reviews import Review, Ruling
from gateway_guard.campaigns.snapshot import freeze
from gateway_guard.errors import StoreError
from gateway_guard.frontends.dashboard.cases import SharedCases
from gateway_guard.frontends.dashboard.desk import Desk
from gateway_guard.record.audit import Audit
from gateway_guard.settings import Settings
from gateway_guard.stores.connect import parse_address
from gateway_guard.streams.lease import Lease
from gateway_guard.streams.link import Link
from gateway_guard.streams.saving import Shelf
from tests import build
from tests.campaigns import ring
from tests.servers import free_port, needs_redis, shared_server, until
from tests.streams.team import KEY, Team, team

MEMBER = ring.account("a", 3)


def settings(uri: str, namespace: str, tmp_path: Path) -> Settings:
    return Settings(
        secret=build.SECRET, store=uri, store_namespace=namespace,
        audit_file=str(tmp_path / "audit"),
    )  # fmt: skip


async def save(crew: Team) -> None:
    """What a linker saves of the campaign of `ring`, and of another let go."""
    linker = ring.caught()
    linker.cases.endings.add(
        msgspec.structs.replace(linker.held["c_0001"], id="c_0002"), Why.FADED, build.NOW
    )
    link = Link(parse_address(crew.server.uri))
    try:
        lease = Lease(link, crew.keys, KEY, dedicated=True, lease=600.0)
        assert await lease.acquire()
        data = freeze(linker, build.SECRET, saved_at=build.NOW)
        assert await Shelf(link, crew.keys).save(data, lease.fence, b"5-0")
    finally:
        await link.close()


@needs_redis
def test_campaigns_are_those_the_linker_saved_last(tmp_path: Path) -> None:
    with team(shared_server()) as crew:
        asyncio.run(save(crew))
        desk = Desk(list, settings(crew.server.uri, crew.namespace, tmp_path))

        async def ask() -> None:
            campaigns = await desk.campaigns()
            view = await desk.campaign("c_0001")
            account = await desk.account(MEMBER)

            assert [(one.id, one.members) for one in campaigns.found] == [("c_0001", ring.MEMBERS)]
            assert campaigns.as_of == build.NOW
            assert [(one.id, one.why) for one in campaigns.let_go] == [("c_0002", Why.FADED)]
            assert view is not None
            assert view.report.size == ring.MEMBERS
            assert account.known is not None
            assert account.known.membership is not None
            assert account.known.membership.campaign == "c_0001"
            assert await desk.campaign("c_0002") is None

        asyncio.run(ask())


@needs_redis
def test_a_decision_is_written_down_and_reaches_every_guard_of_the_store(tmp_path: Path) -> None:
    with team(shared_server()) as crew:
        guards = [crew.guard(), crew.guard()]
        given = settings(crew.server.uri, crew.namespace, tmp_path)
        review = Review(at=build.NOW, ruling=Ruling.BAN, account=MEMBER, reason="x", by="mia")

        entry = asyncio.run(Desk(list, given).decide(review))

        assert (entry.action, entry.via) == ("ban", "dashboard")
        until(lambda: all(guard.facts(MEMBER) for guard in guards), "both guards heed it")


@needs_redis
def test_a_store_that_does_not_answer_is_said_and_recorded(tmp_path: Path) -> None:
    given = settings(f"redis://127.0.0.1:{free_port()}/0", "gg", tmp_path)
    desk = Desk(list, given)
    review = Review(at=build.NOW, ruling=Ruling.BAN, account=MEMBER, reason="x", by="mia")

    campaigns = asyncio.run(desk.campaigns())
    with pytest.raises(StoreError):
        asyncio.run(desk.decide(review))

    assert "does not answer" in campaigns.off
    entries = list(Audit(tmp_path / "audit", build.SECRET).entries())
    assert [entry.action for entry in entries] == ["ban", "failed"]


def test_a_store_that_went_away_is_not_waited_for_by_every_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    looks = 0

    async def look(cases: SharedCases) -> None:
        nonlocal looks
        looks += 1
        if looks > 1:
            raise StoreError("it is away")
        cases._linker = ring.caught()

    monkeypatch.setattr(SharedCases, "_look", look)
    clock = iter((0.0, *[100.0] * 9)).__next__
    cases = SharedCases(settings("redis://127.0.0.1:1/0", "n", tmp_path), clock=clock)

    async def ask() -> list[int | None]:
        return [await cases.ask(lambda linker, _: len(linker.held)) for _ in range(3)]

    assert asyncio.run(ask()) == [1, 1, 1]
    assert looks == 2
