"""How an answer is written to the client: in as few pieces as possible, and never two in one."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from gateway_guard.frontends.cycle import BODY_FOLLOWS, Cycle
from gateway_guard.frontends.inbound import GuardProtocol


class Flow:
    write_paused = False


class Connection:
    """What a cycle needs of its protocol; it is its own transport."""

    ends = False
    asked = False

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.flow = Flow()
        self.transport = self
        self.written: list[bytes] = []
        self.done = 0

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def default_lines(self) -> list[bytes]:
        return [b"date: today"]

    def cycle_done(self, cycle: Cycle) -> None:
        self.done += 1


def written(*messages: dict[str, Any]) -> list[bytes]:
    """What reaches the client of a GET answered by `messages` in one turn of the loop."""

    async def answer() -> list[bytes]:
        connection = Connection()
        cycle = Cycle(
            cast("GuardProtocol", connection),
            {"method": "GET", "http_version": "1.1"},
            keep_alive=True,
            wants_continue=False,
        )
        cycle.feed_end()
        for message in messages:
            await cycle.send(message)
        await asyncio.sleep(0)  # the next turn
        assert cycle.complete is (connection.done == 1)
        return connection.written

    return asyncio.run(answer())


def start(*headers: tuple[bytes, bytes], **more: Any) -> dict[str, Any]:
    return {"type": "http.response.start", "status": 200, "headers": list(headers), **more}


def last(body: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body}


def test_a_head_leaves_by_itself_when_no_body_comes_at_once() -> None:
    pieces = written(start((b"content-length", b"2")))

    assert pieces == [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ndate: today\r\n\r\n"]


@pytest.mark.parametrize("hint", [{}, {BODY_FOLLOWS: True}])
def test_head_and_body_at_hand_leave_in_one_piece(hint: dict[str, Any]) -> None:
    pieces = written(start((b"content-length", b"2"), **hint), last(b"ok"))

    assert pieces == [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ndate: today\r\n\r\nok"]


def test_a_body_of_unknown_length_is_chunked() -> None:
    pieces = written(start((b"date", b"then")), last(b"ok"))

    head = b"HTTP/1.1 200 OK\r\ndate: then\r\ntransfer-encoding: chunked\r\n\r\n"
    assert pieces == [head + b"2\r\nok\r\n0\r\n\r\n"]


@pytest.mark.parametrize(
    "header",
    [
        (b"x", b"a\r\nset-cookie: b"),
        (b"x", b"a\nb"),
        (b"x", b"a\rb"),
        (b"x\n", b"a\r"),
        (b"x", b"a\0"),
    ],
)
def test_no_field_smuggles_another(header: tuple[bytes, bytes]) -> None:
    with pytest.raises(RuntimeError, match="line break or NUL"):
        written(start(header))


def test_no_content_announces_no_length() -> None:
    (head,) = written(start((b"content-length", b"0"), (b"etag", b"x"), status=204), last(b""))

    assert head == b"HTTP/1.1 204 No Content\r\netag: x\r\ndate: today\r\n\r\n"
