"""How a guard that was away finds out what it missed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway_guard.stores.connect import parse_address
from gateway_guard.streams.following import Follower
from gateway_guard.streams.keys import LASTS, VERDICTS_KEPT
from gateway_guard.streams.link import Link
from gateway_guard.streams.scripts import PUBLISH
from gateway_guard.streams.told import Told
from gateway_guard.streams.wire import pack_changes, pack_facts
from gateway_guard.types import CampaignFacts
from tests.servers import needs_redis, shared_server
from tests.streams.team import KEY, Team, team

pytestmark = needs_redis

SURE = CampaignFacts(id="c_0001", confidence=0.97)


class Away:
    """A follower whose turns are the test's, and a linker that is the test."""

    def __init__(self, crew: Team) -> None:
        self.crew = crew
        self.link = Link(parse_address(crew.server.uri))
        self.follower = Follower(self.link, crew.keys, KEY, Told())
        self.stop = asyncio.Event()
        crew.do("HSET", crew.keys.lead, "fence", 7)

    async def tell(self, account: str, facts: CampaignFacts | None, more: int = 0) -> None:
        """Publish one change, the table whole after it unless `more` follows."""
        keys = self.crew.keys
        packed = pack_facts(facts) if facts is not None else b""
        message = pack_changes(KEY, 7, b"0-0", [(account, facts)])
        await self.link.run(
            PUBLISH, (keys.lead, keys.verdicts, keys.table, keys.told),
            (7, VERDICTS_KEPT, LASTS, message, b"0-0", more, KEY, account, packed),
        )  # fmt: skip

    async def back(self) -> None:
        """What the follower does when it can reach the server again, once."""
        await self.follower._stand(self.stop)
        while self.follower._at is not None:
            heard = self.follower._at
            await self.follower._listen()
            if self.follower._at == heard:
                return

    @property
    def facts(self) -> set[str]:
        return set(self.follower.told.facts)


def scenario(play: Callable[[Away], Awaitable[None]]) -> None:
    async def run(crew: Team) -> None:
        away = Away(crew)
        try:
            await away.tell("acct_1", SURE)
            await away.back()
            assert away.facts == {"acct_1"}
            await play(away)
        finally:
            await away.link.close()

    with team(shared_server()) as crew:
        asyncio.run(run(crew))


def test_what_is_still_in_the_stream_is_caught_up_with_message_by_message() -> None:
    async def play(away: Away) -> None:
        await away.tell("acct_2", SURE)
        await away.tell("acct_1", None)
        await away.back()

        assert away.facts == {"acct_2"}
        assert away.follower.loaded == 1, "only at the start"

    scenario(play)


@pytest.mark.parametrize("kept", [0, 1])
def test_what_was_trimmed_meanwhile_is_read_from_the_table(kept: int) -> None:
    async def play(away: Away) -> None:
        for number in range(2, 5):
            await away.tell(f"acct_{number}", SURE)
        await away.tell("acct_1", None)
        away.crew.do("XTRIM", away.crew.keys.verdicts, "MAXLEN", kept)
        await away.back()
        if kept:
            assert away.follower._at is None, "the first it hears does not follow"
            await away.back()

        assert away.facts == {"acct_2", "acct_3", "acct_4"}
        assert away.follower.loaded == 2

    scenario(play)


def test_a_table_that_is_being_written_is_waited_for_and_the_old_verdicts_stay() -> None:
    async def play(away: Away) -> None:
        away.crew.do("DEL", away.crew.keys.verdicts, away.crew.keys.table, away.crew.keys.told)
        await away.tell("acct_2", SURE, more=1)
        await away.back()
        assert away.follower._at is None, "what it hears does not follow"
        standing = asyncio.create_task(away.follower._stand(away.stop))
        await asyncio.wait({standing}, timeout=0.3)
        during = away.facts
        await away.tell("acct_3", SURE)
        await standing

        assert during == {"acct_1"}
        assert away.facts == {"acct_2", "acct_3"}

    scenario(play)


def test_a_server_that_forgot_and_knows_nothing_new_leaves_the_verdicts() -> None:
    async def play(away: Away) -> None:
        away.crew.do("DEL", away.crew.keys.verdicts, away.crew.keys.table, away.crew.keys.told)
        await away.follower._stand(away.stop)
        during = away.facts
        await away.tell("acct_2", SURE)
        await away.follower._listen()
        await away.back()

        assert during == {"acct_1"}
        assert away.facts == {"acct_2"}

    scenario(play)
