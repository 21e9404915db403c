"""Verified accounts among the guards of a store: entered once, known to all."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest

from gateway_guard.campaigns.reviews import Review, Ruling
from gateway_guard.campaigns.standing import Place
from gateway_guard.core.links import LinkFault
from gateway_guard.errors import StoreError
from gateway_guard.stores.connect import parse_address
from gateway_guard.streams import wire
from gateway_guard.streams.keys import Keys
from gateway_guard.streams.link import Link
from gateway_guard.streams.post import Post
from gateway_guard.streams.register import SharedRegister, places
from gateway_guard.streams.shared import SharedLinking
from tests import build
from tests.servers import Server, needs_redis, shared_server, until
from tests.streams.team import KEY, Team, team

pytestmark = needs_redis

T = TypeVar("T")
ONE, OTHER = "acct_aaaaaaaaaaaaaaaa", "acct_bbbbbbbbbbbbbbbb"
LONG = 3_600.0


def verified(account: str = ONE, *, link: str = "l1", subject: str = "ada") -> Review:
    now = time.time()
    return Review(at=now, ruling=Ruling.VERIFY, account=account, until=now + LONG, link=link,
                  subject=subject)  # fmt: skip


def of(ruling: Ruling, account: str = ONE) -> Review:
    return Review(at=time.time(), ruling=ruling, account=account)


def together(crew: Team, work: Callable[[Callable[[], SharedRegister]], Awaitable[T]]) -> T:
    """Run `work` with as many registers as it asks for, all closed afterwards."""

    async def main() -> T:
        made: list[SharedRegister] = []

        def another() -> SharedRegister:
            address = crew.guard(start=False)._address
            made.append(SharedRegister(address, crew.keys, KEY))
            return made[-1]

        try:
            return await work(another)
        finally:
            for one in made:
                await one.close()

    return asyncio.run(main())


def knows(guard: SharedLinking, account: str = ONE) -> bool:
    """Whether a guard takes the account for verified."""
    return guard.register.standing.verified(account, time.time())


def enter(crew: Team, *reviews: Review, most: int = 3) -> list[LinkFault | None]:
    """What becomes of them, one after another."""

    async def work(another: Callable[[], SharedRegister]) -> list[LinkFault | None]:
        register = another()
        return [await register.enter(review, most=most) for review in reviews]

    return together(crew, work)


def test_what_one_guard_enters_every_guard_knows_also_who_comes_later() -> None:
    with team(shared_server()) as crew:
        one, other = crew.guard(), crew.guard()

        found = enter(crew, verified())
        until(lambda: knows(one) and knows(other), "both guards know")
        crew.do("DEL", crew.keys.reviews)
        late = crew.guard()

        assert found == [None]
        assert knows(late), "from the table: the stream has nothing any more"
        assert not knows(late, OTHER)


def test_two_threads_write_one_after_the_other() -> None:
    standing = SharedRegister(parse_address("redis://127.0.0.1:1"), Keys("gg"), KEY).standing
    standing.heed(verified())
    other = threading.Thread(target=standing.heed, args=(verified(OTHER),))
    waited: list[bool] = []

    class Places(dict[str, Place]):
        def pop(self, *args: Any) -> Any:
            if args[0] == ONE:
                other.start()
                other.join(0.2)
                waited.append(other.is_alive())
            return super().pop(*args)

    standing.places = Places(standing.places)
    standing.heed(verified())
    other.join(20)

    assert waited == [True], "the other thread wrote amid a decision"
    assert standing.verified(OTHER, time.time())


def test_a_link_is_used_once_whoever_hears_of_it_first() -> None:
    async def work(another: Callable[[], SharedRegister]) -> list[LinkFault | None]:
        registers = [another() for _ in range(4)]
        return await asyncio.gather(
            *(registers[n % 4].enter(verified(), most=3) for n in range(20))
        )

    with team(shared_server()) as crew:
        found = together(crew, work)

    assert sorted(found, key=str) == [None] + [LinkFault.USED] * 19


def test_one_subject_verifies_so_many_accounts_at_whatever_guard() -> None:
    with team(shared_server()) as crew:
        links = [verified(f"acct_{n}", link=f"l{n}") for n in range(4)]
        found = enter(crew, *links) + enter(crew, verified("acct_0", link="again"))

    assert found == [None, None, None, LinkFault.CROWDED, None]


def test_an_account_that_is_cleared_makes_room_for_another_of_its_subject() -> None:
    with team(shared_server()) as crew:

        def enters(link: str) -> LinkFault | None:
            return enter(crew, verified(OTHER, link=link), most=1)[0]

        first = enter(crew, verified(), most=1)
        full = enters("l2")
        post = Post(crew.server.uri, crew.namespace, build.SECRET)
        post.review(of(Ruling.CHALLENGE))
        challenged = enters("l3")
        post.review(of(Ruling.CLEAR))
        cleared = enters("l4")

    assert (first, full, challenged) == ([None], LinkFault.CROWDED, LinkFault.CROWDED)
    assert cleared is None


def test_a_link_that_was_refused_for_its_subject_is_still_good() -> None:
    with team(shared_server()) as crew:
        found = enter(
            crew, verified(link="l0"), verified(OTHER), verified(OTHER, subject="bob"), most=1
        )

    assert found == [None, LinkFault.CROWDED, None]


def test_people_challenge_vouch_and_clear_for_all_guards_and_for_who_comes_later() -> None:
    with team(shared_server()) as crew:
        guard = crew.guard()
        post = Post(crew.server.uri, crew.namespace, build.SECRET)
        standing = guard.register.standing

        def rule(ruling: Ruling) -> None:
            post.review(Review(at=time.time(), ruling=ruling, account=ONE))

        rule(Ruling.CHALLENGE)
        until(lambda: standing.challenged(ONE), "the challenge is heard of")
        late = crew.guard().register.standing.challenged(ONE)
        rule(Ruling.VERIFY)
        until(lambda: knows(guard), "the reviewer's word is heard of")
        verified_late = knows(crew.guard())
        rule(Ruling.CLEAR)
        until(lambda: not knows(guard), "that it is over is heard of")
        cleared = crew.guard().register.standing
        # It may hear all three once more, in their order.
        until(
            lambda: not cleared.challenged(ONE) and not cleared.verified(ONE, time.time()),
            "who comes later knows of neither",
        )

        assert late
        assert verified_late
        assert not standing.challenged(ONE)


def test_who_is_erased_is_not_verified_but_still_challenged_for_who_comes_later() -> None:
    with team(shared_server()) as crew:
        post = Post(crew.server.uri, crew.namespace, build.SECRET)
        for ruling, account in (
            (Ruling.VERIFY, ONE), (Ruling.CHALLENGE, OTHER), (Ruling.ERASE, ONE),
            (Ruling.ERASE, OTHER),
        ):  # fmt: skip
            post.review(of(ruling, account))

        assert post.places() == {OTHER: Place(0.0, 0.0, True)}


def test_what_guards_cannot_be_told_is_not_so_for_those_that_come_later() -> None:
    with team(shared_server()) as crew:
        post = Post(crew.server.uri, crew.namespace, build.SECRET)
        post.review(of(Ruling.VERIFY))
        crew.do("DEL", crew.keys.reviews)
        crew.do("SET", crew.keys.reviews, "no stream")

        with pytest.raises(StoreError):
            post.review(of(Ruling.CHALLENGE))
        found = told(crew)

    assert [(one.challenged, one.until > 0) for one in found.values()] == [(False, True)]


def test_two_people_at_once_leave_the_tables_as_the_later_one_told_the_guards() -> None:
    rulings = (Ruling.CHALLENGE, Ruling.VERIFY, Ruling.CLEAR)
    with team(shared_server()) as crew:

        def rule(number: int) -> None:
            post = Post(crew.server.uri, crew.namespace, build.SECRET)
            post.review(of(rulings[number % 3]))

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(rule, range(30)))
        found = told(crew)
        (entries,) = asked(
            crew, lambda link: link.entries([(crew.keys.reviews, b"0")], most=99, wait=1)
        )
        last = wire.read_order(entries[-1][1][b"r"], KEY).review()

    expected = {Ruling.CHALLENGE: [True], Ruling.VERIFY: [False], Ruling.CLEAR: []}
    assert [one.challenged for one in found.values()] == expected[last.ruling]


def told(crew: Team) -> dict[str, Place]:
    """Where accounts stand by the tables."""
    return asked(crew, lambda link: places(link, crew.keys))


def asked(crew: Team, what: Callable[[Link], Awaitable[T]]) -> T:
    """The answer of the server."""

    async def ask() -> T:
        link = Link(parse_address(crew.server.uri))
        try:
            return await what(link)
        finally:
            await link.close()

    return asyncio.run(ask())


def test_everything_it_writes_ends_by_itself_and_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway_guard.streams.register.STANDING_KEPT", 5)
    with team(shared_server()) as crew:
        enter(crew, *(verified(f"acct_{n}", link=f"l{n}", subject=f"s{n}") for n in range(12)))
        kept = crew.do("ZCARD", crew.keys.verified)
        names = crew.do("KEYS", f"{crew.namespace}:*")
        lasting = [name for name in names if crew.do("TTL", name) < 0]

    assert kept == 5
    assert len(names) > 12
    assert lasting == []


def test_while_the_server_is_away_nothing_is_entered() -> None:
    with Server() as server, team(server) as crew:
        server.freeze()
        try:
            with pytest.raises(StoreError):
                enter(crew, verified())
        finally:
            server.thaw()
