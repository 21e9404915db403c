"""`network update` against a real HTTP server on loopback."""

from __future__ import annotations

import gzip
import hashlib
import io
import itertools
import os
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from gateway_guard.errors import SourceError
from gateway_guard.network.build import merge_flags
from gateway_guard.network.database import NetworkDatabase
from gateway_guard.network.ranges import parse_range
from gateway_guard.network.update import Feed, Outcome, update

LIST = b"# exits\n203.0.113.7\n2001:db8::/48\n"
DATABASE = merge_flags({"vpn": [parse_range("203.0.113.0/24")]}, build_epoch=1)
MARKER = "no-secret-of-ours"


class Server(ThreadingHTTPServer):
    """Answers from `pages`: path → (status, headers, body); remembers what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append((self.path, headers))
        status, extra, body = self.server.pages.get(
            self.path.partition("?")[0], (404, {}, b"nothing here")
        )
        if status == 200 and extra.get("ETag") and headers.get("if-none-match") == extra["ETag"]:
            status, body = 304, b""
        self.send_response(status)
        for name, value in extra.items():
            self.send_header(name, value)
        if "Content-Length" not in extra:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


def fetch(server: Server, folder: Path, path: str, *, name: str = "own", **more: object) -> Outcome:
    checksum = more.pop("checksum", None)
    feed = Feed.parse(f"{name}={server.url(path)}", None if checksum is None else str(checksum))
    (outcome,) = update([feed], folder, **more)  # type: ignore[arg-type]
    return outcome


def test_a_database_is_fetched_and_answers(server: Server, tmp_path: Path) -> None:
    server.pages["/own.mmdb"] = (200, {}, DATABASE)

    outcome = fetch(server, tmp_path / "new" / "folder", "/own.mmdb")

    assert (outcome.status, outcome.size) == ("updated", len(DATABASE))
    database = NetworkDatabase.bundled([tmp_path / "new" / "folder"])
    assert database.lookup("203.0.113.9").flags == {"vpn"}


def test_a_gzipped_database_is_expanded(server: Server, tmp_path: Path) -> None:
    server.pages["/own.mmdb.gz"] = (200, {}, gzip.compress(DATABASE))

    outcome = fetch(server, tmp_path, "/own.mmdb.gz")

    assert outcome.status == "updated"
    assert (tmp_path / "own.mmdb").read_bytes() == DATABASE


def archive(*names: str) -> bytes:
    """A gzipped tar archive with a file of the database's bytes under each of `names`."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as writing:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(DATABASE)
            writing.addfile(member, io.BytesIO(DATABASE))
    return packed.getvalue()


def test_the_database_of_a_tar_archive_is_taken_out_of_it(server: Server, tmp_path: Path) -> None:
    served = archive("GeoLite2_20260101/LICENSE.txt", "GeoLite2_20260101/GeoLite2-Country.mmdb")
    server.pages["/own.tar.gz"] = (200, {}, served)

    outcome = fetch(server, tmp_path, "/own.tar.gz", checksum=hashlib.sha256(served).hexdigest())

    assert outcome.status == "updated"
    assert (tmp_path / "own.mmdb").read_bytes() == DATABASE


@pytest.mark.parametrize(
    ("served", "message"),
    [
        (archive("LICENSE.txt"), "an archive of 0 .mmdb files"),
        (archive("a.mmdb", "b.mmdb"), "an archive of 2 .mmdb files"),
        (archive(*map(str, range(101))), "an archive of more than 100 files"),
        (gzip.compress(gzip.decompress(archive("a.mmdb"))[:600]), "damaged tar archive"),
        (b"PK\x03\x04" + DATABASE, "a zip archive"),
    ],
    ids=["none", "two", "many", "cut", "zip"],
)
def test_an_archive_of_anything_else_says_what_it_is(
    server: Server, tmp_path: Path, served: bytes, message: str
) -> None:
    server.pages["/own.tar.gz"] = (200, {}, served)

    outcome = fetch(server, tmp_path, "/own.tar.gz")

    assert outcome.status == "failed"
    assert outcome.detail.startswith(message)


def test_a_published_list_says_nothing_of_private_networks(server: Server, tmp_path: Path) -> None:
    server.pages["/bogons.txt"] = (200, {}, b"10.0.0.0/8\n203.0.113.7\nfd00::/16\n")
    server.pages["/own.txt"] = (200, {}, b"192.168.0.0/16\n")

    outcome = fetch(server, tmp_path, "/bogons.txt", name="vpn")
    nothing = fetch(server, tmp_path, "/own.txt", name="tor")

    assert outcome.detail == "3 entries flagged vpn; private addresses in it are left out"
    database = NetworkDatabase([tmp_path])
    assert database.lookup("10.1.2.3").flags == database.lookup("fd00::1").flags == frozenset()
    assert database.lookup("203.0.113.7").flags == {"vpn"}
    assert nothing.detail.startswith("the list names private addresses only")


def test_a_text_list_becomes_flags(server: Server, tmp_path: Path) -> None:
    server.pages["/exits.txt"] = (200, {}, LIST)

    outcome = fetch(server, tmp_path, "/exits.txt", name="tor")

    assert (outcome.status, outcome.detail) == ("updated", "2 entries flagged tor")
    assert NetworkDatabase([tmp_path]).lookup("203.0.113.7").flags == {"tor"}


def test_a_list_that_is_nearly_gone_is_taken_and_remarked_on(
    server: Server, tmp_path: Path
) -> None:
    whole = b"".join(b"9.0.0.%d\n" % last for last in range(200))
    details = []
    for served in (whole, whole[:-10], b"9.0.0.1\n", b"9.0.0.1\n", whole):
        server.pages["/tor"] = (200, {}, served)
        details.append(fetch(server, tmp_path, "/tor", name="tor").detail)

    assert details == [
        "200 entries flagged tor",
        "199 entries flagged tor",
        "1 entries flagged tor; it had 199 before: is it whole?",
        "same content",
        "200 entries flagged tor",
    ]


def test_a_list_under_another_name_says_its_flag(server: Server, tmp_path: Path) -> None:
    server.pages["/p"] = (200, {}, LIST)

    outcome = fetch(server, tmp_path, "/p", name="open-proxies:proxy")

    assert outcome.status == "updated"
    assert NetworkDatabase([tmp_path / "open-proxies.mmdb"]).lookup("203.0.113.7").flags == {
        "proxy"
    }


def test_an_unchanged_file_costs_one_304(server: Server, tmp_path: Path) -> None:
    when = "Sat, 22 Aug 2026 00:00:00 GMT"
    server.pages["/own.mmdb"] = (200, {"ETag": '"v1"', "Last-Modified": when}, DATABASE)
    fetch(server, tmp_path, "/own.mmdb")

    outcome = fetch(server, tmp_path, "/own.mmdb")

    assert (outcome.status, outcome.detail) == ("unchanged", "not modified")
    assert server.asked[1][1]["if-none-match"] == '"v1"'
    assert server.asked[1][1]["if-modified-since"] == when
    assert "if-none-match" not in server.asked[0][1]


def test_the_same_content_without_etag_is_unchanged(server: Server, tmp_path: Path) -> None:
    server.pages["/own.mmdb"] = (200, {}, DATABASE)
    fetch(server, tmp_path, "/own.mmdb")
    before = (tmp_path / "own.mmdb").stat().st_mtime_ns

    outcome = fetch(server, tmp_path, "/own.mmdb")

    assert (outcome.status, outcome.detail) == ("unchanged", "same content")
    assert (tmp_path / "own.mmdb").stat().st_mtime_ns == before


@pytest.mark.parametrize("loss", ["deleted", "damaged"])
def test_a_lost_file_is_fetched_again_whatever_the_etag(
    server: Server, tmp_path: Path, loss: str
) -> None:
    server.pages["/own.mmdb"] = (200, {"ETag": '"v1"'}, DATABASE)
    fetch(server, tmp_path, "/own.mmdb")
    if loss == "deleted":
        (tmp_path / "own.mmdb").unlink()
    else:
        (tmp_path / "own.mmdb").write_bytes(b"damaged")

    outcome = fetch(server, tmp_path, "/own.mmdb")

    assert outcome.status == "updated"
    assert (tmp_path / "own.mmdb").read_bytes() == DATABASE


def test_another_url_is_not_asked_with_the_old_etag(server: Server, tmp_path: Path) -> None:
    server.pages["/a"] = server.pages["/b"] = (200, {"ETag": '"v1"'}, DATABASE)
    fetch(server, tmp_path, "/a")

    fetch(server, tmp_path, "/b")

    assert "if-none-match" not in server.asked[1][1]


HTML = b"<!doctype html><title>Sign in</title>"
OTHER = (Path(__file__).parent / "fixtures/maxmind/GeoIP2-Domain-Test.mmdb").read_bytes()
BROKEN = (
    Path(__file__).parent / "fixtures/maxmind/GeoIP2-City-Test-Broken-Double-Format.mmdb"
).read_bytes()


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ((404, {}, b""), "answered 404"),
        ((500, {}, b""), "answered 500"),
        ((204, {}, b""), "answered 204"),
        ((200, {}, b""), "neither an MMDB file nor"),
        ((200, {}, HTML), "neither an MMDB file nor"),
        ((200, {}, DATABASE[: len(DATABASE) // 2]), "neither an MMDB file nor"),
        ((200, {}, DATABASE[:20] + DATABASE[60:]), "nodes|readable|separator|damaged|points"),
        ((200, {}, BROKEN), "damaged record"),
        ((200, {}, OTHER), "'GeoIP2-Domain' tells no country"),
        ((200, {}, gzip.compress(DATABASE)[:-9]), "cut short"),
        ((200, {}, gzip.compress(DATABASE)[:40] + b"x" * 40), "damaged gzip"),
        ((200, {}, gzip.compress(DATABASE) * 2), "several members"),
        ((200, {}, b"PK\x03\x04" + b"x" * 400), "a zip archive"),
        ((200, {}, b"x" * 257 + b"ustar" + b"x" * 400), "damaged tar archive"),
        ((200, {}, gzip.compress(b"\0" * 3_000_000)), "expands to more than 1,000,000"),
        ((200, {}, b"\0" * 1_000_001), "1,000,001 bytes offered"),
        ((200, {"Content-Length": "500"}, b"short"), "127.0.0.1 broke off"),
        ((302, {"Location": "/own.mmdb"}, b""), "more than 5 redirects"),
        ((302, {"Location": "ftp://127.0.0.1/x"}, b""), "neither https nor http"),
        ((302, {"Location": f"http://{'a' * 64}.example/x"}, b""), "127.0.0.1 cannot be reached"),
    ],
)
def test_whatever_goes_wrong_the_last_good_file_stays(
    server: Server, tmp_path: Path, page: tuple[int, dict[str, str], bytes], message: str
) -> None:
    server.pages["/own.mmdb"] = (200, {}, DATABASE)
    fetch(server, tmp_path, "/own.mmdb")
    server.pages["/own.mmdb"] = page

    outcome = fetch(server, tmp_path, "/own.mmdb", max_bytes=1_000_000)

    assert outcome.status == "failed"
    assert outcome.detail.endswith("; the last good file stays")
    assert any(part in outcome.detail for part in message.split("|"))
    assert (tmp_path / "own.mmdb").read_bytes() == DATABASE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own.json", "own.mmdb"]


def test_a_bad_line_of_a_list_is_named(server: Server, tmp_path: Path) -> None:
    server.pages["/exits.txt"] = (200, {}, b"203.0.113.7\nnot an address\n")

    outcome = fetch(server, tmp_path, "/exits.txt", name="tor")

    assert outcome.status == "failed"
    assert outcome.detail.startswith("tor:2: 'not an address' is not an IP address")
    assert outcome.detail.endswith("; there is no earlier file")


def test_redirects_are_followed(server: Server, tmp_path: Path) -> None:
    server.pages["/a"] = (302, {"Location": "/b"}, b"")
    server.pages["/b"] = (301, {"Location": server.url("/c")}, b"")
    server.pages["/c"] = (200, {}, DATABASE)

    assert fetch(server, tmp_path, "/a").status == "updated"


def test_a_redirect_from_https_to_http_is_refused(tmp_path: Path) -> None:
    transport = httpx.MockTransport(
        lambda _: httpx.Response(302, headers={"location": "http://example.org/x"})
    )

    (outcome,) = update([Feed.parse("own=https://example.org/x")], tmp_path, transport=transport)

    assert "unprotected" in outcome.detail


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("how", ["hex", "HEX", "url", "auto"])
def test_a_right_checksum_is_accepted(server: Server, tmp_path: Path, how: str) -> None:
    server.pages["/own.mmdb"] = (200, {}, DATABASE)
    server.pages["/own.mmdb.sha256"] = (200, {}, f"{digest(DATABASE)}  own.mmdb\n".encode())
    checksum = {
        "hex": digest(DATABASE),
        "HEX": digest(DATABASE).upper(),
        "url": server.url("/own.mmdb.sha256"),
        "auto": "auto",
    }[how]

    assert fetch(server, tmp_path, "/own.mmdb", checksum=checksum).status == "updated"


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ((200, {}, b"0" * 64), "expected 0000000000000000"),
        ((200, {}, b""), "does not begin with a SHA-256"),
        ((200, {}, HTML), "does not begin with a SHA-256"),
        ((200, {}, b"0" * 5000), "is the most"),
        ((404, {}, b""), "answered 404"),
    ],
)
def test_a_wrong_checksum_keeps_the_file_out(
    server: Server, tmp_path: Path, page: tuple[int, dict[str, str], bytes], message: str
) -> None:
    server.pages["/own.mmdb"] = (200, {}, DATABASE)
    server.pages["/own.mmdb.sha256"] = page

    outcome = fetch(server, tmp_path, "/own.mmdb", checksum="auto")

    assert outcome.status == "failed"
    assert message in outcome.detail
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_trickles_is_given_up(server: Server, tmp_path: Path) -> None:
    server.pages["/own.mmdb"] = (200, {}, DATABASE)
    ticks = itertools.chain((0, 0), itertools.repeat(100))

    outcome = fetch(
        server, tmp_path, "/own.mmdb", total_seconds=50, timer=lambda: float(next(ticks))
    )

    assert outcome.detail.startswith("took too long")


def test_a_server_that_serves_without_end_is_given_up(tmp_path: Path) -> None:
    served = itertools.count()

    class Endless(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            while next(served) < 1_000:
                yield bytes(1_000)

    (outcome,) = update(
        [Feed.parse("own=https://example.org/x")],
        tmp_path,
        transport=httpx.MockTransport(lambda _: httpx.Response(200, stream=Endless())),
        max_bytes=10_000,
    )

    assert outcome.detail == "more than 10,000 bytes served; there is no earlier file"
    assert next(served) < 20


def test_a_server_whose_head_never_ends_is_given_up(tmp_path: Path) -> None:
    done = threading.Event()

    def never(_: httpx.Request) -> httpx.Response:
        done.wait()
        return httpx.Response(200, content=DATABASE)

    (outcome,) = update(
        [Feed.parse("own=https://example.org/x")],
        tmp_path,
        transport=httpx.MockTransport(never),
        total_seconds=0.05,
    )
    done.set()

    assert outcome.detail == "took too long; there is no earlier file"
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_not_there_is_one_failed_feed(server: Server, tmp_path: Path) -> None:
    server.pages["/own.mmdb"] = (200, {}, DATABASE)
    closed = Server()
    gone = closed.url("/x")
    closed.server_close()

    outcomes = update(
        [Feed.parse(f"gone={gone}"), Feed.parse(f"own={server.url('/own.mmdb')}")], tmp_path
    )

    assert [outcome.status for outcome in outcomes] == ["failed", "updated"]
    assert outcomes[0].detail.startswith("127.0.0.1 cannot be reached")


def test_a_key_in_the_url_is_neither_shown_nor_stored(server: Server, tmp_path: Path) -> None:
    server.pages["/own.mmdb"] = (200, {}, DATABASE)
    fetch(server, tmp_path, f"/own.mmdb?key={MARKER}")
    server.pages.clear()

    outcome = fetch(server, tmp_path, f"/own.mmdb?key={MARKER}")

    assert outcome.status == "failed"
    assert MARKER not in outcome.detail
    assert all(MARKER.encode() not in path.read_bytes() for path in tmp_path.iterdir())


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (httpx.ReadTimeout("slow"), "example.org did not answer in time"),
        (OSError(28, "No space left on device"), "cannot write: No space left on device"),
        (httpx.ReadError(f"https://example.org/?key={MARKER}"), "example.org broke off"),
    ],
)
def test_a_failure_is_told_without_the_url(tmp_path: Path, error: Exception, message: str) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    (outcome,) = update(
        [Feed.parse(f"own=https://example.org/?key={MARKER}")],
        tmp_path,
        transport=httpx.MockTransport(fail),
    )

    assert outcome.detail == f"{message}; there is no earlier file"


def test_a_replacement_that_cannot_be_finished_leaves_nothing_behind(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.pages["/own.mmdb"] = (200, {}, DATABASE)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    outcome = fetch(server, tmp_path, "/own.mmdb")

    assert outcome.detail.startswith("cannot write: No space left")
    assert list(tmp_path.iterdir()) == []


def test_a_url_that_cannot_be_read_is_one_failed_feed(tmp_path: Path) -> None:
    (outcome,) = update([Feed.parse("own=http://127.0.0.1:port/x")], tmp_path)

    assert outcome.detail.startswith("the URL cannot be read")


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(SourceError, match="file: is no directory"):
        update([], tmp_path / "file")
    with pytest.raises(SourceError, match="cannot be made: Not a directory"):
        update([], tmp_path / "file" / "below")


def test_two_feeds_of_one_name_are_an_error(tmp_path: Path) -> None:
    feed = Feed.parse("own=http://127.0.0.1/x")

    with pytest.raises(SourceError, match="two feeds are called 'own'"):
        update([feed, feed], tmp_path)


@pytest.mark.parametrize(
    ("spec", "checksum", "message"),
    [
        ("own", None, "write NAME=URL"),
        ("=http://x", None, "write NAME=URL"),
        ("../own=http://x", None, "write NAME=URL"),
        (".own=http://x", None, "write NAME=URL"),
        ("own:vnp=http://x", None, "unknown flag 'vnp'"),
        ("own:=http://x", None, "unknown flag ''"),
        ("own=ftp://x", None, "must begin with https://"),
        ("own=file:///etc/passwd", None, "must begin with https://"),
        ("own=http://x", "abc", "64 hex digits"),
    ],
)
def test_a_feed_that_makes_no_sense_is_an_error(
    spec: str, checksum: str | None, message: str
) -> None:
    with pytest.raises(SourceError, match=message):
        Feed.parse(spec, checksum)


def test_a_running_guard_takes_the_update_on_reload(server: Server, tmp_path: Path) -> None:
    server.pages["/exits.txt"] = (200, {}, LIST)
    database = NetworkDatabase([tmp_path])
    before = database.lookup("203.0.113.7")

    fetch(server, tmp_path, "/exits.txt", name="tor")
    reloaded = database.reload()

    assert reloaded
    assert not before.known
    assert database.lookup("203.0.113.7").flags == {"tor"}
