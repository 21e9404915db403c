"""Threat intelligence with real programs: OASIS's TAXII client and server, and the sidecar."""

from __future__ import annotations

import json
import math
import signal
import ssl
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import stix2
from taxii2client.v21 import ApiRoot, Server, as_pages

from gateway_guard.files import write_whole
from gateway_guard.intel import taxii_client
from gateway_guard.intel.bundle import bundle_of, signed
from gateway_guard.intel.collection import decode, empty, encode, published
from gateway_guard.intel.file import TableFile
from gateway_guard.intel.keys import Signer
from gateway_guard.intel.stix import bundle
from tests.cli.run import run
from tests.e2e.servers import PATIENCE, Sidecar, certificate
from tests.intel import cases
from tests.processes import Child
from tests.servers import until

pytestmark = pytest.mark.e2e

Patch = pytest.MonkeyPatch
Capture = pytest.CaptureFixture[str]
PASSWORD = "0123456789abcdef"


def write_collection(folder: Path) -> None:
    """Write a collection and the list of its readers."""
    objects = bundle([cases.case()], "acme", tlp="green")["objects"]
    held, _ = published(empty("Campaigns"), objects, now=cases.LAST)
    write_whole(folder / "collection", encode(held))
    (folder / "users").write_text(f"me {PASSWORD}\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where what is served lies."""
    return tmp_path_factory.mktemp("taxii")


@pytest.fixture(scope="module")
def taxii(folder: Path) -> Iterator[str]:
    """`gateway-guard intel serve` with the campaign of `cases`; its discovery URL."""
    write_collection(folder)
    with Child(
        sys.executable, "-m", "gateway_guard", "intel", "serve", "--port", "0",
        "--collection", str(folder / "collection"), "--users", str(folder / "users"),
    ) as child:  # fmt: skip
        yield child.wait_for(r"TAXII 2.1 on (\S+)")


def root_of(url: str) -> ApiRoot:
    return Server(url, user="me", password=PASSWORD).default


def test_the_oasis_client_discovers_pages_and_parses_what_is_served(taxii: str) -> None:
    root = root_of(taxii)
    (collection,) = root.collections

    pages = list(as_pages(collection.get_objects, per_request=4))
    manifest = collection.get_manifest(limit=1000)["objects"]

    found = [one for page in pages for one in page["objects"]]
    assert (collection.title, collection.can_write) == ("Campaigns", False)
    assert len(pages) > 2
    parsed = [stix2.parse(one, allow_custom=False) for one in found]
    assert {one.type for one in parsed} >= {"campaign", "indicator", "sighting", "grouping"}
    assert [one["id"] for one in manifest] == [one["id"] for one in found]
    assert len({one["date_added"] for one in manifest}) == len(found)


def test_the_oasis_client_asks_for_one_object_its_versions_and_what_is_new(taxii: str) -> None:
    (collection,) = root_of(taxii).collections
    last = collection.get_manifest()["objects"][-1]

    one = collection.get_object(last["id"])["objects"]
    versions = collection.object_versions(last["id"])["versions"]
    nothing = collection.get_objects(added_after=last["date_added"])
    campaigns = collection.get_objects(type="campaign")["objects"]

    assert [o["id"] for o in one] == [last["id"]]
    assert versions == [last["version"]]
    assert nothing.get("objects", []) == []
    assert [o["name"] for o in campaigns] == ["c_0001"]


def test_the_oasis_client_is_refused_a_wrong_password_and_a_write(taxii: str) -> None:
    import requests

    with pytest.raises(requests.HTTPError) as wrong:
        _ = Server(taxii, user="me", password="another password").title
    (collection,) = root_of(taxii).collections
    refused = httpx.post(
        f"{collection.url}objects/", auth=("me", PASSWORD), json={"objects": []},
        headers={"accept": "application/taxii+json;version=2.1"},
    )  # fmt: skip

    assert wrong.value.response is not None
    assert wrong.value.response.status_code == 401
    assert (refused.status_code, refused.json()["http_status"]) == (403, "403")


def test_what_is_published_while_it_serves_is_served(taxii: str, folder: Path) -> None:
    (collection,) = root_of(taxii).collections
    before = collection.get_manifest()["objects"][-1]["date_added"]
    news = {"type": "identity", "spec_version": "2.1", "name": "news",
            "id": "identity--5a0cd7a4-0000-4000-8000-000000000009",
            "created": "2026-01-01T00:00:00.000Z", "modified": "2026-01-01T00:00:00.000Z",
            "identity_class": "organization"}  # fmt: skip
    file = folder / "collection"
    held, _ = published(decode(file.read_bytes(), "held"), [news], now=cases.LAST + 60.0)

    write_whole(file, encode(held))

    new = collection.get_objects(added_after=before)["objects"]
    assert [one["name"] for one in new] == ["news"]


def shown(port: int) -> str:
    """The certificate a new connection sees."""
    return ssl.get_server_certificate(("127.0.0.1", port), timeout=PATIENCE)


def test_the_servers_renewed_certificate_is_served_and_a_broken_one_is_not(tmp_path: Path) -> None:
    write_collection(tmp_path)
    where, key = certificate(tmp_path)
    later, key_of_later = certificate(tmp_path / "next")
    first, second = where.read_text(), later.read_text()
    with Child(
        sys.executable, "-m", "gateway_guard", "intel", "serve", "--port", "0",
        "--collection", str(tmp_path / "collection"), "--users", str(tmp_path / "users"),
        "--ssl-certfile", str(where), "--ssl-keyfile", str(key),
    ) as child:  # fmt: skip
        port = int(child.wait_for(r"TAXII 2.1 on https://127.0.0.1:(\d+)"))
        assert shown(port) == first
        # Without its key it can serve nobody.
        where.write_text(second)
        child.wait_for("certificate-kept")
        kept = shown(port)
        key.write_bytes(key_of_later.read_bytes())
        child.process.send_signal(signal.SIGHUP)

        assert kept == first
        until(lambda: shown(port) == second, "the renewed certificate is served")


def test_our_client_takes_in_from_our_server_what_it_does_not_have_yet(
    taxii: str, tmp_path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    (collection,) = root_of(taxii).collections
    (tmp_path / "password").write_text(PASSWORD)
    monkeypatch.setenv("GATEWAY_GUARD_INTEL_FILE", str(tmp_path / "table"))
    monkeypatch.setattr(time, "time", lambda: cases.LAST)
    words = ("intel", "poll", collection.url, "--as", "acme", "--user", "me",
             "--password-file", tmp_path / "password")  # fmt: skip

    turns = [run(monkeypatch, capfd, *words) for _ in range(3)]

    assert [ran.code for ran in turns] == [0, 0, 0], turns[0].err
    said = [ran.out.strip() for ran in turns]
    assert said == ["acme: 3 network", "acme: nothing new", "acme: nothing new"]
    held = TableFile(tmp_path / "table").read().sources["acme"]
    assert {one.name for one in held.indicators.values()} == {"c_0001"}
    assert held.etag


@pytest.fixture
def medallion(tmp_path: Path) -> Iterator[str]:
    """OASIS's TAXII server with one empty collection; the collection's URL."""
    name = "91a7b528-80eb-42ed-a74d-c6fbd5a26116"
    collection = {"id": name, "title": "Shared", "can_read": True, "can_write": True,
                  "media_types": ["application/stix+json;version=2.1"],
                  "objects": [], "manifest": []}  # fmt: skip
    data = {
        "/discovery": {"title": "server", "default": "http://127.0.0.1/api/",
                       "api_roots": ["http://127.0.0.1/api/"]},
        "api": {"information": {"title": "root", "max_content_length": 1 << 20,
                                "versions": ["application/taxii+json;version=2.1"]},
                "status": [], "collections": [collection]},
    }  # fmt: skip
    (tmp_path / "data.json").write_text(json.dumps(data))
    config = {
        "backend": {"module": "medallion.backends.memory_backend", "module_class": "MemoryBackend",
                    "filename": str(tmp_path / "data.json")},
        "users": {"me": PASSWORD}, "taxii": {"max_page_size": 5},
    }  # fmt: skip
    (tmp_path / "medallion.json").write_text(json.dumps(config))
    (tmp_path / "password").write_text(PASSWORD)
    with Child(
        sys.executable, "-m", "medallion.scripts.run", "--port", "0",
        str(tmp_path / "medallion.json"), listen_to="both",
    ) as child:  # fmt: skip
        base = child.wait_for(r"Running on (http://127\.0\.0\.1:\d+)")
        yield f"{base}/api/collections/{name}/"


def test_campaigns_are_pushed_to_the_oasis_server_and_polled_from_it(
    medallion: str, tmp_path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    objects = bundle([cases.case()], "acme")
    (tmp_path / "acme.json").write_bytes(msgspec.json.encode(objects))
    login = ("--user", "me", "--password-file", tmp_path / "password")
    monkeypatch.setenv("GATEWAY_GUARD_INTEL_FILE", str(tmp_path / "table"))
    # The case is of long ago; to whom that is now, the clock of the server is ahead.
    monkeypatch.setattr(time, "time", lambda: cases.LAST)
    monkeypatch.setattr(taxii_client, "_CLOCKS_APART", math.inf)

    pushed = run(monkeypatch, capfd, "intel", "push", tmp_path / "acme.json", medallion, *login)
    polled = run(monkeypatch, capfd, "intel", "poll", medallion, "--as", "shared", *login)
    again = run(monkeypatch, capfd, "intel", "poll", medallion, "--as", "shared", *login)

    assert pushed.code == 0, pushed.err
    assert pushed.out.startswith(f"{len(objects['objects'])} objects taken, 0 refused")
    assert (polled.code, polled.out.strip()) == (0, "shared: 3 network"), polled.err
    assert again.out.strip() == "shared: nothing new"
    held = TableFile(tmp_path / "table").read().sources["shared"]
    assert len(held.indicators) == 3
    assert held.cursor


POLICY = """\
version: 1
mode: enforce
identify:
  client_ip: x-real-ip
  trusted_proxies: [127.0.0.1]
rules:
  - name: seen-elsewhere
    when: { indicator: { source: acme, kind: network, confidence: { min: 0.8 } } }
    then: deny
"""


def test_a_running_guard_believes_a_bundle_by_policy_keeps_the_last_good_one_and_forgets(
    tmp_path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    signer, now, table = Signer.made(), time.time(), tmp_path / "table"
    one = cases.indicator(since=int(now) - 60, until=int(now) + 86_400)
    made = bundle_of([one], now=now, days=1, tlp="amber", group="")
    (tmp_path / "bundle").write_bytes(signed(made, signer))
    (tmp_path / "trusted").write_text(f"acme {signer.public}\n")
    monkeypatch.setenv("GATEWAY_GUARD_INTEL_FILE", str(table))

    with Sidecar(tmp_path, "http://127.0.0.1:9", policy=POLICY) as sidecar:

        def status(address: str) -> int:
            headers = {"x-real-ip": address}
            url = f"http://127.0.0.1:{sidecar.port}/"
            return httpx.get(url, headers=headers, timeout=PATIENCE).status_code

        def ready() -> dict[str, Any]:
            url = f"http://127.0.0.1:{sidecar.admin}/readyz"
            found: dict[str, Any] = httpx.get(url, timeout=PATIENCE).json()
            return found

        before = status("203.0.113.9")
        taken = run(monkeypatch, capfd, "intel", "import", tmp_path / "bundle",
                    "--trusted", tmp_path / "trusted")  # fmt: skip
        until(lambda: status("203.0.113.9") == 403, "the bundle is believed")
        elsewhere, described = status("203.0.114.9"), ready()["indicators"]
        good = table.read_bytes()
        write_whole(table, b"{")
        until(lambda: "shared indicators" in str(ready()["troubles"]), "the damage is seen")
        damaged = status("203.0.113.9")
        write_whole(table, good)
        forgotten = run(monkeypatch, capfd, "intel", "forget", "acme")
        until(lambda: status("203.0.113.9") == before, "it is forgotten")

    assert (taken.code, forgotten.code) == (0, 0), taken.err + forgotten.err
    assert (before, elsewhere, damaged) == (502, 502, 403)
    assert described == {"loaded": 1, "protected": 0, "sealed": 0, "error": None}
