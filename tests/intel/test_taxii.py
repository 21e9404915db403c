"""The TAXII server's answers, question by question, and the client against it without a socket."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import signal
import socket
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from gateway_guard.errors import IntelError
from gateway_guard.frontends.patience import Limits
from gateway_guard.frontends.taxii import TaxiiApp, read_users
from gateway_guard.frontends.taxii import _serve as serve
from gateway_guard.intel.collection import Collection, empty, encode, published
from gateway_guard.intel.http import MOST_AFTER, Reply, Web, retry_after
from gateway_guard.intel.stix import bundle
from gateway_guard.intel.taxii import MEDIA_TYPE, Answer, Ask, answer
from gateway_guard.intel.taxii_client import Page, collections, poll, push
from gateway_guard.intel.times import stamp
from tests import build
from tests.intel import cases

USERS = read_users("# readers\nme 0123456789abcdef\n", "users")
AUTH = "Basic " + base64.b64encode(b"me:0123456789abcdef").decode()


def objects(count: int = 5, modified: str = "2026-01-01T00:00:00.000Z") -> list[dict[str, Any]]:
    return [
        {"type": "campaign" if n % 2 else "identity", "spec_version": "2.1", "id": f"x--{n}",
         "created": "2026-01-01T00:00:00.000Z", "modified": modified, "name": str(n)}
        for n in range(count)
    ]  # fmt: skip


@pytest.fixture
def held() -> Collection:
    return published(empty("Campaigns"), objects(), now=build.NOW)[0]


def ask(
    held: Collection, path: str = "objects/", *query: tuple[str, str], method: str = "GET",
    **headers: str,
) -> Answer:  # fmt: skip
    if not path.startswith("/"):
        path = f"/shared/collections/{held.id}/{path}"
    fields = {"authorization": AUTH, "accept": MEDIA_TYPE} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    return answer(Ask(method=method, path=path, query=query, headers=fields), held, USERS, "title")


def body(told: Answer) -> dict[str, Any]:
    assert told.status == 200, told.body
    assert told.headers["content-type"] == MEDIA_TYPE
    found: dict[str, Any] = msgspec.json.decode(told.body)
    return found


def names(told: Answer) -> list[str]:
    return [one["id"] for one in body(told).get("objects", [])]


def test_discovery_leads_to_the_root_and_that_to_the_collection(held: Collection) -> None:
    (root,) = body(ask(held, "/taxii2/"))["api_roots"]
    (one,) = body(ask(held, f"{root}collections/"))["collections"]

    assert body(ask(held, root))["versions"] == [MEDIA_TYPE]
    assert (one["can_read"], one["can_write"]) == (True, False)
    assert body(ask(held, f"{root}collections/{one['id']}/")) == one


def test_pages_neither_repeat_nor_lose_an_object(held: Collection) -> None:
    first = ask(held, "objects/", ("limit", "2"))
    second = ask(held, "objects/", ("limit", "2"), ("next", body(first)["next"]))
    third = ask(held, "objects/", ("limit", "2"), ("next", body(second)["next"]))

    assert [names(one) for one in (first, second, third)] == [
        ["x--0", "x--1"], ["x--2", "x--3"], ["x--4"],
    ]  # fmt: skip
    assert body(third)["more"] is False
    assert "next" not in body(third)


def test_the_last_moment_of_an_answer_is_where_the_next_poll_begins(held: Collection) -> None:
    first = ask(held, "objects/", ("limit", "2"))

    last = first.headers["x-taxii-date-added-last"]

    assert names(ask(held, "objects/", ("added_after", last))) == ["x--2", "x--3", "x--4"]
    end = ask(held).headers["x-taxii-date-added-last"]
    assert body(ask(held, "objects/", ("added_after", end))) == {"more": False}


def test_a_new_version_comes_after_and_the_old_one_only_when_asked_for(held: Collection) -> None:
    end = ask(held).headers["x-taxii-date-added-last"]
    new = objects(1, modified="2026-02-01T00:00:00.000Z")
    held, count = published(held, [*objects(), *new], now=build.NOW + 60.0)

    assert count == 1
    assert names(ask(held, "objects/", ("added_after", end))) == ["x--0"]
    assert names(ask(held))[-1] == "x--0"
    assert len(names(ask(held, "objects/", ("match[version]", "all")))) == 6
    assert names(ask(held, "objects/", ("match[version]", "first")))[0] == "x--0"
    versions = body(ask(held, "objects/x--0/versions/"))["versions"]
    assert versions == ["2026-01-01T00:00:00.000Z", "2026-02-01T00:00:00.000Z"]


def test_a_clock_that_goes_back_adds_after_what_is_there(held: Collection) -> None:
    held, _ = published(held, objects(6), now=build.NOW - 3_600.0)

    assert names(ask(held))[-1] == "x--5"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (("match[id]", "x--1,x--4"), ["x--1", "x--4"]),
        (("match[type]", "campaign"), ["x--1", "x--3"]),
        (("match[spec_version]", "2.0"), []),
        (("match[version]", "2026-01-01T00:00:00.000Z"), [f"x--{n}" for n in range(5)]),
        (("unknown", "x"), [f"x--{n}" for n in range(5)]),
    ],
)
def test_filters(held: Collection, query: tuple[str, str], found: list[str]) -> None:
    assert names(ask(held, "objects/", query)) == found


def test_a_manifest_tells_of_objects_without_them(held: Collection) -> None:
    one = body(ask(held, "manifest/"))["objects"][0]

    assert set(one) == {"id", "date_added", "version", "media_type"}
    assert names(ask(held, "objects/x--3/")) == ["x--3"]


def test_what_has_not_changed_is_not_sent_again(held: Collection) -> None:
    etag = ask(held).headers["etag"]

    again = ask(held, if_none_match=etag)

    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize(
    ("path", "query", "options", "status"),
    [
        ("objects/", (), {"authorization": ""}, 401),
        ("objects/", (), {"authorization": "Basic !"}, 401),
        ("objects/", (), {"authorization": "Basic bWU6d3Jvbmc="}, 401),
        ("objects/", (), {"authorization": f"Bearer {AUTH[6:]}"}, 401),
        ("/taxii2", (), {}, 404),
        ("/other/", (), {}, 404),
        ("nothing/", (), {}, 404),
        ("objects/x--9/", (), {}, 404),
        ("/shared/status/1/", (), {}, 404),
        ("objects/", (), {"accept": "application/json"}, 406),
        ("objects/", (), {"accept": "application/taxii+json;version=2.0"}, 406),
        ("objects/", (), {"accept": "application/taxii+json;version=2.1;q=0"}, 406),
        ("objects/", (), {"accept": "*/*; q=0.000, text/html"}, 406),
        ("objects/", (), {"method": "POST"}, 403),
        ("objects/x--1/", (), {"method": "DELETE"}, 403),
        ("manifest/", (), {"method": "PUT"}, 405),
        ("objects/", (("limit", "0"),), {}, 400),
        ("objects/", (("limit", "many"),), {}, 400),
        ("objects/", (("next", "x"),), {}, 400),
        ("objects/", (("added_after", "yesterday"),), {}, 400),
        ("objects/", (("limit", "1"), ("limit", "2")), {}, 400),
    ],
)
def test_every_refusal_is_a_taxii_error_that_says_what_to_do(
    held: Collection, path: str, query: tuple[tuple[str, str], ...], options: Any, status: int
) -> None:
    told = ask(held, path, *query, **options)

    error = msgspec.json.decode(told.body)
    assert (told.status, error["http_status"]) == (status, str(status))
    assert told.headers["content-type"] == MEDIA_TYPE
    assert error["title"]
    assert len(error["description"]) > 10
    assert ("www-authenticate" in told.headers) == (status == 401)


@pytest.mark.parametrize(
    "accept", ["*/*", "application/*", "application/taxii+json", "text/html, */*;q=0.1",
               "Application/TAXII+JSON;Version=2.1", "*/*;q=0, application/taxii+json;q=0.01",
               'application/taxii+json; version="2.1"'],
)  # fmt: skip
def test_media_types_are_read_as_http_has_them(held: Collection, accept: str) -> None:
    assert ask(held, accept=accept).status == 200


@pytest.mark.parametrize(
    "text",
    ["", "me", "me short", "me 0123456789abcdef\nme 0123456789abcdef", "a:b 0123456789abcdef"],
)
def test_a_list_of_users_that_lets_in_the_wrong_ones_is_refused(text: str) -> None:
    with pytest.raises(IntelError, match="users") as caught:
        read_users(text, "users")

    assert "0123456789abcdef" not in str(caught.value)


def test_what_expired_a_month_ago_is_no_longer_served() -> None:
    (one,) = objects(1)
    gone = one | {"valid_until": "2026-01-15T00:00:00Z"}

    held, _ = published(empty("t"), [gone], now=build.NOW)

    assert held.entries == ()


def served(
    held: Collection, seen: list[httpx.Request] | None = None, *, tokens: bool = True
) -> Web:
    def handle(request: httpx.Request) -> httpx.Response:
        if seen is not None:
            seen.append(request)
        told = answer(
            Ask(method=request.method, path=request.url.path, headers=dict(request.headers),
                query=list(request.url.params.multi_items())),
            held, USERS, "t",
        )  # fmt: skip
        content = told.body if tokens else re.sub(rb'"next":"[^"]*",', b"", told.body)
        return httpx.Response(told.status, headers=told.headers, stream=httpx.ByteStream(content))

    return Web(
        f"http://127.0.0.1:1/shared/collections/{held.id}/", auth=("me", "0123456789abcdef"),
        transport=httpx.MockTransport(handle),
    )  # fmt: skip


def test_a_poll_reads_every_page_and_the_next_one_only_what_is_new(held: Collection) -> None:
    with served(held) as web:
        pages = list(poll(web, now=build.NOW, page=2))

    assert [one["id"] for page in pages for one in page.objects] == [f"x--{n}" for n in range(5)]
    assert [page.last for page in pages] == [False, False, True]
    held, _ = published(held, objects(6), now=build.NOW + 60.0)
    with served(held) as web:
        (then,) = poll(web, now=build.NOW, added_after=pages[-1].cursor)
    assert [one["id"] for one in then.objects] == ["x--5"]


def test_pages_without_a_next_are_asked_for_by_the_last_moment(held: Collection) -> None:
    seen: list[httpx.Request] = []
    with served(held, seen, tokens=False) as web:
        pages = list(poll(web, now=build.NOW, page=2))

    assert [one["id"] for page in pages for one in page.objects] == [f"x--{n}" for n in range(5)]
    assert [page.last for page in pages] == [False, False, True]
    asked = [request.url.params.get("added_after") for request in seen]
    assert asked == [None, pages[0].cursor, pages[1].cursor]
    assert all("next" not in request.url.params for request in seen)


@pytest.mark.parametrize("moment", ["", "never", stamp(build.NOW - 60.0), stamp(build.NOW - 61.0)])
def test_pages_without_a_next_whose_last_moment_does_not_move_are_no_pages(moment: str) -> None:
    document = {"more": True, "objects": [{"id": "x--1"}]}

    def handle(_: httpx.Request) -> httpx.Response:
        return httpx.Response(
            200, headers={"content-type": MEDIA_TYPE, "x-taxii-date-added-last": moment},
            stream=httpx.ByteStream(msgspec.json.encode(document)),
        )  # fmt: skip

    with (
        Web("http://127.0.0.1:1/c/", transport=httpx.MockTransport(handle)) as web,
        pytest.raises(IntelError, match="not where"),
    ):
        list(poll(web, now=build.NOW, added_after=stamp(build.NOW - 60.0)))


def test_a_poll_with_nothing_new_costs_an_empty_answer(held: Collection) -> None:
    seen: list[httpx.Request] = []
    with served(held, seen) as web:
        (first,) = poll(web, now=build.NOW)
        (empty_one,) = poll(web, now=build.NOW, added_after=first.cursor)
        none: list[Page] = list(
            poll(web, now=build.NOW, added_after=first.cursor, etag=empty_one.etag)
        )

    assert (empty_one.objects, empty_one.cursor) == ([], first.cursor)
    assert empty_one.etag
    assert none == []
    assert seen[-1].headers["if-none-match"] == empty_one.etag


def test_the_client_lists_collections_of_a_root(held: Collection) -> None:
    with served(held) as web:
        root = Web("http://127.0.0.1:1/shared/", auth=("me", "0123456789abcdef"),
                   transport=web._client._transport)  # fmt: skip
        assert collections(root) == [(held.id, "Campaigns", True, False)]


def test_a_push_to_a_collection_that_is_only_read_says_so(held: Collection) -> None:
    with served(held) as web, pytest.raises(IntelError, match="answers 403"):
        push(web, objects(), wait=lambda _: None)


def test_a_push_waits_for_what_is_pending_and_says_what_failed() -> None:
    waited: list[float] = []
    states = iter([
        {"id": "s1", "status": "pending", "pending_count": 2},
        {"id": "s1", "status": "pending", "pending_count": 1},
        {"id": "s1", "status": "complete", "success_count": 1, "failure_count": 1,
         "failures": [{"id": "x--1", "version": "v", "message": "no\nthanks"}]},
    ])  # fmt: skip
    asked: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.method} {request.url.path}")
        content = msgspec.json.encode(next(states))
        return httpx.Response(202 if request.method == "POST" else 200, headers={
            "content-type": MEDIA_TYPE}, stream=httpx.ByteStream(content))  # fmt: skip

    with Web("http://127.0.0.1:1/api/collections/c/", transport=httpx.MockTransport(handle)) as web:
        done = push(web, objects(2), wait=waited.append)

    assert (done.taken, done.refused, done.messages) == (1, 1, ["x--1: no thanks"])
    assert asked == ["POST /api/collections/c/objects/", "GET /api/status/s1/",
                     "GET /api/status/s1/"]  # fmt: skip
    assert len(waited) == 2


@pytest.mark.parametrize(
    ("document", "part"),
    [
        ({"more": True, "objects": [{}]}, "not where"),
        ({"more": True, "next": "1"}, "again and again"),
        ({"more": True, "next": "1", "objects": [{"id": "x--1"}]}, "again and again"),
        ({"more": True, "next": "x" * 2_000, "objects": [{}]}, "not where"),
    ],
)
def test_a_server_that_leads_in_circles_is_left(document: dict[str, Any], part: str) -> None:
    def handle(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": MEDIA_TYPE},
                              stream=httpx.ByteStream(msgspec.json.encode(document)))  # fmt: skip

    with (
        Web("http://127.0.0.1:1/c/", transport=httpx.MockTransport(handle)) as web,
        pytest.raises(IntelError, match=part),
    ):
        list(poll(web, now=build.NOW))


@pytest.mark.parametrize(("ahead", "kept"), [(60.0, True), (86_400.0, False)])
def test_a_server_whose_clock_is_ahead_hides_nothing_that_comes_later(
    ahead: float, kept: bool
) -> None:
    said = stamp(build.NOW + ahead)

    def handle(_: httpx.Request) -> httpx.Response:
        headers = {"content-type": MEDIA_TYPE, "x-taxii-date-added-last": said}
        content = httpx.ByteStream(msgspec.json.encode({"objects": [{"id": "x--1"}]}))
        return httpx.Response(200, headers=headers, stream=content)

    with Web("http://127.0.0.1:1/c/", transport=httpx.MockTransport(handle)) as web:
        (page,) = poll(web, now=build.NOW, added_after="2026-01-01T00:00:00Z")

    assert page.cursor == (said if kept else "2026-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        (format_datetime(datetime.fromtimestamp(build.NOW + 90, UTC), usegmt=True), 90.0),
        (format_datetime(datetime.fromtimestamp(build.NOW - 90, UTC)), 0.0),
        ("9" * 30, MOST_AFTER),
        ("soon", None),
        ("-5", None),
        ("١٢", None),
        ("", None),
    ],
)
def test_when_a_server_asks_to_come_back(said: str, seconds: float | None) -> None:
    reply = Reply(503, httpx.Headers({b"retry-after": said.encode()}), b"")

    assert retry_after(reply, now=build.NOW) == seconds


def test_a_poll_that_is_refused_knows_when_to_come_back() -> None:
    def handle(_: httpx.Request) -> httpx.Response:
        return httpx.Response(429, headers={"retry-after": "120"}, stream=httpx.ByteStream(b""))

    with (
        Web("http://127.0.0.1:1/c/", transport=httpx.MockTransport(handle)) as web,
        pytest.raises(IntelError, match="after 120") as failed,
    ):
        list(poll(web, now=build.NOW))

    assert failed.value.after == 120.0


def test_a_page_with_nothing_on_it_does_not_end_a_poll() -> None:
    answers = iter([
        {"more": True, "next": "2"},
        {"more": True, "next": "3", "objects": []},
        {"more": False, "objects": [{"id": "x--1"}]},
    ])  # fmt: skip

    def handle(_: httpx.Request) -> httpx.Response:
        content = httpx.ByteStream(msgspec.json.encode(next(answers)))
        return httpx.Response(200, headers={"content-type": MEDIA_TYPE}, stream=content)

    with Web("http://127.0.0.1:1/c/", transport=httpx.MockTransport(handle)) as web:
        pages = list(poll(web, now=build.NOW))

    assert [len(page.objects) for page in pages] == [0, 0, 1]
    assert pages[-1].last


@pytest.mark.parametrize("where", ["https://elsewhere.test/c/", "/elsewhere/"])
def test_a_server_that_sends_the_client_elsewhere_is_not_followed_with_its_password(
    where: str,
) -> None:
    asked: list[httpx.URL] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return httpx.Response(307, headers={"location": where}, stream=httpx.ByteStream(b""))

    with (
        Web(
            "http://127.0.0.1:1/c/", auth=("guard", "secret"),
            transport=httpx.MockTransport(handle),
        ) as web,
        pytest.raises(IntelError, match="307"),
    ):  # fmt: skip
        list(poll(web, now=build.NOW))

    assert len(asked) == 1


@pytest.mark.parametrize("name", ["\0", "x" * 70_000], ids=["no-text", "too-long"])
def test_a_status_whose_id_makes_no_url_is_said_to_make_none(name: str) -> None:
    def handle(_: httpx.Request) -> httpx.Response:
        said = httpx.ByteStream(msgspec.json.encode({"id": name, "status": "pending"}))
        return httpx.Response(202, headers={"content-type": MEDIA_TYPE}, stream=said)

    with (
        Web("http://127.0.0.1:1/c/", transport=httpx.MockTransport(handle)) as web,
        pytest.raises(IntelError, match="no URL"),
    ):
        push(web, objects(1), wait=lambda _: None)


def test_a_damaged_collection_is_told_once_and_keeps_no_reader_who_was_taken_out(
    held: Collection, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> list[int]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, headers={"authorization": AUTH}) as web:
            first = await web.get("http://taxii.test/taxii2/")
            collection.unlink()
            kept = [await web.get("http://taxii.test/taxii2/") for _ in range(3)]
            users.write_text("somebody-else 0123456789abcdef\n")
            after = await web.get("http://taxii.test/taxii2/")
            return [one.status_code for one in (first, *kept, after)]

    collection, users = tmp_path / "collection", tmp_path / "users"
    collection.write_bytes(encode(held))
    users.write_text("me 0123456789abcdef\n")
    app = TaxiiApp(collection, users, "title")

    found = asyncio.run(scenario())

    assert found == [200, 200, 200, 200, 401]
    assert [line.getMessage()[:10] for line in caplog.records if "taxii" in line.name] == [
        "taxii-kept"
    ]


def test_several_lines_of_accept_are_one_list(tmp_path: Path, held: Collection) -> None:
    collection, users = tmp_path / "collection", tmp_path / "users"
    collection.write_bytes(encode(held))
    users.write_text("me 0123456789abcdef\n")
    app = TaxiiApp(collection, users, "title")
    lines = [("authorization", AUTH), ("accept", MEDIA_TYPE), ("accept", "text/html")]

    async def scenario() -> int:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport) as web:
            return (await web.get("http://taxii.test/taxii2/", headers=lines)).status_code

    assert asyncio.run(scenario()) == 200


def test_something_else_at_the_address_is_no_taxii_server() -> None:
    def handle(_: httpx.Request) -> httpx.Response:
        return httpx.Response(
            200, headers={"content-type": "text/html"}, stream=httpx.ByteStream(b"")
        )

    with (
        Web("http://127.0.0.1:1/c/", transport=httpx.MockTransport(handle)) as web,
        pytest.raises(IntelError, match=r"collections/ID/"),
    ):
        list(poll(web, now=build.NOW))


def test_an_export_can_be_published_again_and_again() -> None:
    document = bundle([cases.case()], "acme")

    held, new = published(empty("t"), document["objects"], now=build.NOW)
    again, nothing = published(held, document["objects"], now=build.NOW + 60.0)

    assert new == len(document["objects"])
    assert (again, nothing) == (held, 0)


def test_a_reader_who_never_finishes_asking_is_not_waited_for(
    held: Collection, tmp_path: Path
) -> None:
    async def scenario() -> tuple[bytes, bytes]:
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        port = listener.getsockname()[1]
        # Room for one: whoever comes next is served only once the first has been sent away.
        limits = Limits(head=0.2, connections=1)
        serving = asyncio.create_task(serve(app, listener, None, limits))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /taxii2/ HTTP/1.1\r\nHost: taxii")
        slow = await reader.read()
        writer.close()
        answer = b""
        while not answer:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /taxii2/ HTTP/1.1\r\nHost: taxii.test\r\nConnection: close\r\n\r\n")
            with contextlib.suppress(ConnectionError):
                answer = await reader.read()
            writer.close()
        signal.raise_signal(signal.SIGTERM)
        await serving
        return slow, answer

    collection, users = tmp_path / "collection", tmp_path / "users"
    collection.write_bytes(encode(held))
    users.write_text("me 0123456789abcdef\n")
    app = TaxiiApp(collection, users, "title")

    slow, answer = asyncio.run(asyncio.wait_for(scenario(), 60.0))

    assert slow.startswith(b"HTTP/1.1 408 ")
    assert answer.startswith(b"HTTP/1.1 401 ")
