"""What is HAProxy's own over SPOE: bodies, long heads, a guard that comes, goes or is too slow."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests import build
from tests.e2e.gateways import CHAT, POLICY, TRUSTED, Chain
from tests.e2e.servers import PATIENCE, Upstream, ask, get
from tests.servers import free_port, until

pytestmark = pytest.mark.e2e

#: For tests that ask until something is so.
UNLIMITED = POLICY.replace("requests: 3/hour", "requests: 1000000/minute")


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    with Upstream() as upstream:
        yield Chain("haproxy", tmp_path, upstream)


def test_names_some_servers_take_for_the_guards_do_not_reach_the_upstream(chain: Chain) -> None:
    with chain.guard(), chain.gateway():
        assert chain.status(headers={"x_guard_action": "deny", "x-guard-other": "1"}) == 200

    (seen,) = chain.upstream.seen
    assert {name for name, _ in seen.headers if "guard" in name} == {
        "x-guard-account", "x-guard-action", "x-guard-country", "x-guard-request-id",
        "x-guard-restrict", "x-guard-risk",
    }  # fmt: skip


def test_the_body_is_judged(chain: Chain) -> None:
    with chain.guard(), chain.gateway():
        assert chain.ask(model="giant").status_code == 403
        assert chain.ask(model="small").status_code == 200
        # Chunked, and over a connection that announces nothing of its length.
        body = b'{"model": "giant", "messages": [{"role": "user", "content": "Hi"}]}'
        assert chain.ask(content=iter([body[:9], body[9:]])).status_code == 403

    assert len(chain.upstream.seen) == 1


def test_a_body_too_long_to_be_sent_is_one_that_nobody_could_read(chain: Chain) -> None:
    answers = {}

    with chain.guard(), chain.gateway():
        for size in (59_000, 61_000, 200_000):
            body = build.chat_body("a" * size)
            key = f"sk-{size}"
            announced = chain.status(content=body, key=key)
            chunked = chain.status(content=iter([body[:5000], body[5000:]]), key=key)
            answers[size] = (announced, chunked)

    assert answers == {59_000: (200, 200), 61_000: (413, 413), 200_000: (413, 413)}


def test_a_long_upload_passes_where_its_length_is_said(chain: Chain) -> None:
    upload = b"x" * 61_000

    with chain.guard(), chain.gateway():
        statuses = [
            chain.status(path="/v1/uploads", content=content)
            for content in (upload, iter([upload[:9], upload[9:]]), iter([upload[:59_000]]))
        ]

    assert statuses == [200, 411, 200]
    assert [(len(one.body), one["content-length"]) for one in chain.upstream.seen] == [
        (61_000, "61000"), (59_000, "59000"),
    ]  # fmt: skip


def test_a_head_too_long_for_a_frame_is_refused_even_where_failures_pass(chain: Chain) -> None:
    body = b'{"model": "giant", "messages": [{"role": "user", "content": "%b"}]}' % (b"a" * 59_000)
    with chain.guard(), chain.gateway(fails_open=True):
        answer = chain.ask(content=body, headers={"x-long": "b" * 69_000})
        long_head = chain.ask(headers={"x-long": "b" * 69_000})

    assert (answer.status_code, long_head.status_code) == (431, 431)
    assert chain.upstream.seen == []


def test_a_head_that_haproxy_passes_on_and_a_guard_must_not_is_refused(chain: Chain) -> None:
    with chain.guard() as guard, chain.gateway():
        answer = ask(chain.port, get("/v1/models", "X-Odd: a\x1bb"))
        guard.wait_for("the header fields are malformed")

    assert answer.status == 400
    assert chain.upstream.seen == []


def test_a_guard_that_comes_back_is_asked_again(chain: Chain) -> None:
    with chain.gateway() as haproxy:
        chain.sees(haproxy, up=False)
        for times in (1, 2):
            with chain.guard() as guard:
                chain.sees(haproxy, up=True, times=times)
                assert chain.status() == 200
                assert guard.end() == 0
            chain.sees(haproxy, up=False, times=times + 1)
            assert chain.status() == 503


#: HAProxy waits for an answer this long, and as long for one that will never come.
SLOW = ("processing 500ms", "processing 3s")


def asked(chain: Chain) -> None:
    """The guard has been asked and has answered in time; a busy machine may need another go."""
    until(lambda: chain.status(path="/v1/models", method="GET") == 200, "the guard is asked")


def test_a_guard_that_is_killed_between_two_requests_lets_nothing_through(chain: Chain) -> None:
    with chain.guard(policy=UNLIMITED) as guard, chain.gateway(SLOW):
        asked(chain)
        before = len(chain.upstream.seen)
        guard.kill()
        assert chain.status() == 503

    assert len(chain.upstream.seen) == before


def test_a_guard_that_is_too_slow_is_not_waited_for_and_found_again(chain: Chain) -> None:
    with chain.guard(policy=UNLIMITED) as guard, chain.gateway(SLOW) as haproxy:
        asked(chain)
        guard.process.send_signal(signal.SIGSTOP)
        late = chain.status()
        guard.process.send_signal(signal.SIGCONT)
        asked(chain)
        assert haproxy.process.poll() is None

    assert late == 503


def test_over_a_unix_socket(chain: Chain) -> None:
    path = str(chain.folder / "guard")
    policy = POLICY.replace(TRUSTED, "[unix]")
    at = (f"127.0.0.1:{chain.kind.port}", f"unix@{path}")

    with chain.guard(where=f"unix:{path}", policy=policy), chain.gateway(at):
        answers = [chain.status() for _ in range(4)]

    assert answers == [200, 200, 200, 429]


def test_every_way_of_asking_one_process_fills_the_same_limits(chain: Chain) -> None:
    ways = ("--frontend", "extauth", "--frontend", "envoy", "--envoy", f"127.0.0.1:{free_port()}")
    question = {
        "x-forwarded-method": "POST", "x-forwarded-uri": CHAT, "authorization": "Bearer sk-1",
    }  # fmt: skip

    with chain.guard(*ways) as guard, chain.gateway():
        assert [chain.status(), chain.status()] == [200, 200]
        url = f"http://127.0.0.1:{guard.port}/auth/forward"
        statuses = [httpx.get(url, headers=question).status_code for _ in range(2)]

    assert statuses == [200, 429]


def test_many_clients_at_once_are_all_answered(chain: Chain) -> None:
    statuses: list[int] = []

    def client(number: int) -> None:
        with httpx.Client(timeout=PATIENCE) as session:
            for turn in range(15):
                answer = session.post(
                    f"http://127.0.0.1:{chain.port}{CHAT}",
                    json={"model": "giant" if turn % 3 else "m", "messages": []},
                    headers={"authorization": f"Bearer sk-{number}-{turn}"},
                )
                statuses.append(answer.status_code)

    with chain.guard(), chain.gateway():
        threads = [threading.Thread(target=client, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)

    assert (statuses.count(200), statuses.count(403), len(statuses)) == (80, 160, 240)
