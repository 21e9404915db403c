"""`gateway-guard intel`, as it is typed."""

from __future__ import annotations

import gzip
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway_guard.cli.intel_taxii import repeat
from gateway_guard.errors import IntelError
from gateway_guard.intel.file import TableFile
from gateway_guard.policy.cases import run_cases
from gateway_guard.record.snapshots import SnapshotFile
from tests import build
from tests.cli.run import ROOT, Ran, run
from tests.intel import cases
from tests.intel.lapi import StandIn, decision

Intel = Callable[..., Ran]
#: A week after the campaign was last seen.
LATER = cases.LAST + 7 * 86_400


@pytest.fixture
def intel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Intel:
    """Runs `gateway-guard intel …` a week after the campaign, with files in `tmp_path`."""
    SnapshotFile(tmp_path / "campaigns").save(cases.frozen())
    (tmp_path / "log").write_bytes(b"\n".join(map(msgspec.json.encode, cases.lines())) + b"\nno\n")
    (tmp_path / "group").write_bytes(cases.GROUP_KEY)
    monkeypatch.setenv("GATEWAY_GUARD_SECRET", build.SECRET.decode())
    monkeypatch.setenv("GATEWAY_GUARD_CAMPAIGNS_FILE", str(tmp_path / "campaigns"))
    monkeypatch.setenv("GATEWAY_GUARD_INTEL_FILE", str(tmp_path / "table"))
    monkeypatch.setenv("GATEWAY_GUARD_INTEL_GROUP_KEY_FILE", str(tmp_path / "group"))
    monkeypatch.setattr(time, "time", lambda: LATER)
    monkeypatch.chdir(tmp_path)
    return lambda *words: run(monkeypatch, capfd, "intel", *words)


@pytest.fixture
def bundle(intel: Intel, tmp_path: Path) -> Path:
    """A signed export, and a list that trusts its signer as `acme`."""
    public = json.loads(intel("keygen", "key", "--format", "json").out)["public"]
    (tmp_path / "trusted").write_text(f"acme {public}\n")
    ran = intel("export", "--name", "acme", "--key", "key", "--traffic", "log", "-o", "bundle")
    assert ran.code == 0, ran.err
    return tmp_path / "bundle"


def test_a_private_key_is_its_owners_alone_and_never_written_over(
    intel: Intel, tmp_path: Path
) -> None:
    first = intel("keygen", "key")

    again = intel("keygen", "key")

    assert "NAME ed25519:" in first.out
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert (again.code, "not written over" in again.err) == (3, True)


@pytest.mark.usefixtures("bundle")
def test_an_export_says_what_it_hands_on_and_what_it_keeps_back(intel: Intel) -> None:
    ran = intel("export", "--name", "acme", "--key", "key", "--traffic", "log", "-o", "again")

    assert "c_0001: 4 template, 3 network, 1 client handed on" in ran.err
    assert "kept back: 2 networks with strangers behind them" in ran.err
    assert "1 line passed over: of no decision log" in ran.err


@pytest.mark.usefixtures("bundle")
def test_an_export_without_traffic_says_that_networks_are_missing(intel: Intel) -> None:
    ran = intel("export", "--name", "acme", "--key", "key", "-o", "again")

    assert ran.err.startswith("networks were left out: only --traffic says where")


@pytest.mark.usefixtures("bundle")
@pytest.mark.parametrize("name", ["key", "log", "campaigns"])
def test_an_export_writes_over_nothing_that_it_reads(
    intel: Intel, tmp_path: Path, name: str
) -> None:
    before = (tmp_path / name).read_bytes()

    ran = intel("export", "--name", "acme", "--key", "key", "--traffic", "log", "-o", name)

    assert (ran.code, (tmp_path / name).read_bytes()) == (2, before)


@pytest.mark.usefixtures("bundle")
def test_a_log_is_unpacked_by_what_is_in_it_whatever_its_name(intel: Intel, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.rename(tmp_path / "log.gz")
    plain = intel("export", "--name", "acme", "--key", "key", "--traffic", "log.gz", "-o", "again")
    log.write_bytes(gzip.compress((tmp_path / "log.gz").read_bytes()))

    ran = intel("export", "--name", "acme", "--key", "key", "--traffic", "log", "-o", "again")

    assert (ran.code, ran.err) == (0, plain.err.replace("log.gz:", "log:"))
    assert "3 network" in ran.err


@pytest.mark.usefixtures("bundle")
@pytest.mark.parametrize("form", ["bundle", "stix"])
def test_what_has_expired_is_kept_back_and_not_said_to_be_handed_on(
    form: str, intel: Intel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(time, "time", lambda: cases.LAST + 100 * 86_400)

    ran = intel("export", "--name", "a", "--format", form, "--key", "key", "-o", "late")

    assert "c_0001: nothing handed on" in ran.err
    assert "kept back: 5 not seen for as long as they hold (--days)" in ran.err
    assert b"indicator--" not in (tmp_path / "late").read_bytes()


@pytest.mark.usefixtures("bundle")
def test_lines_that_are_of_no_decision_log_are_counted(intel: Intel, tmp_path: Path) -> None:
    (tmp_path / "other").write_text('{"id":"d1","action":"allow"}\n' * 3)

    ran = intel("export", "--name", "acme", "--key", "key", "--traffic", "other", "-o", "again")
    absent = intel("export", "--name", "acme", "--key", "key", "--traffic", "none")

    assert "3 lines passed over: of no decision log, or broken" in ran.err
    assert absent.code == 3
    assert "none cannot be read: No such file or directory\n" in absent.err


def test_json_that_is_no_stix_bundle_is_not_taken_for_an_empty_one(
    intel: Intel, tmp_path: Path
) -> None:
    (tmp_path / "other").write_text('{"a": 1}')

    ran = intel("import", "other", "--as", "acme")

    assert ran.code == 3
    assert "other: this is no STIX bundle" in ran.err
    assert not (tmp_path / "table").exists()


@pytest.mark.usefixtures("bundle")
def test_a_file_of_another_kind_is_named(intel: Intel, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("[1]")

    checked = intel("verify", "other", "--trusted", "trusted")
    published = intel("publish", "other", "--collection", "collection")
    pushed = intel("push", "other", "http://127.0.0.1:9/collections/1/")

    assert {checked.code, published.code, pushed.code} == {3}
    assert checked.err.startswith("gateway-guard: other: this is no signed bundle")
    assert published.err.startswith("gateway-guard: other: this is no STIX bundle")
    assert pushed.err.startswith("gateway-guard: other: this is no STIX bundle")


@pytest.mark.usefixtures("bundle")
def test_a_bundle_is_verified_taken_in_and_listed(intel: Intel) -> None:
    checked = intel("verify", "bundle", "--trusted", "trusted", "--format", "json")
    taken = intel("import", "bundle", "--trusted", "trusted")
    listed = intel("list")
    ones = intel("list", "--source", "acme", "--format", "json")

    assert json.loads(checked.out)["kinds"] == {"template": 4, "network": 3, "client": 1}
    assert taken.code == 0
    assert "bundle: 4 template, 3 network, 1 client from acme" in taken.out
    assert listed.out.splitlines()[2].split()[:4] == ["acme", "guard", "8", "8"]
    held = json.loads(ones.out)["sources"]["acme"]["indicators"]
    assert {one["name"] for one in held.values()} == {"c_0001"}


@pytest.mark.usefixtures("bundle")
def test_the_same_bundle_again_is_nothing_new_and_an_older_one_is_refused(
    intel: Intel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "old").write_bytes((tmp_path / "bundle").read_bytes())
    assert intel("import", "old", "--trusted", "trusted").code == 0
    same = intel("import", "bundle", "--trusted", "trusted")
    monkeypatch.setattr(time, "time", lambda: LATER + 60.0)
    assert intel("export", "--name", "acme", "--key", "key", "-o", "new").code == 0
    newer = intel("import", "new", "--trusted", "trusted")

    old = intel("import", "old", "--trusted", "trusted")

    assert "nothing new" in same.out
    assert "4 template, 1 client from acme" in newer.out
    assert (old.code, "is a replay" in old.err) == (3, True)
    assert TableFile(tmp_path / "table").read().size == 5


@pytest.mark.usefixtures("bundle")
def test_what_no_longer_holds_is_not_handed_on(
    intel: Intel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: LATER + 30 * 86_400)
    intel("export", "--name", "acme", "--key", "key", "--traffic", "log", "-o", "late")

    kinds = json.loads(intel("verify", "late", "--trusted", "trusted", "--format", "json").out)

    assert kinds["kinds"] == {"template": 4}


@pytest.mark.usefixtures("bundle")
def test_a_bundle_of_a_stranger_or_changed_on_its_way_is_refused(
    intel: Intel, tmp_path: Path
) -> None:
    data = (tmp_path / "bundle").read_bytes()
    (tmp_path / "changed").write_bytes(data.replace(b"203.0.113.0/24", b"203.0.114.0/24"))
    (tmp_path / "nobody").write_text("# nobody\n")

    changed = intel("import", "changed", "--trusted", "trusted")
    stranger = intel("import", "bundle", "--trusted", "nobody")
    unsaid = intel("import", "bundle")

    assert "changed: the bundle was changed after acme signed it" in changed.err
    assert "trusted: nobody" in stranger.err
    assert "--trusted FILE" in unsaid.err
    assert (changed.code, stranger.code, unsaid.code) == (3, 3, 2)
    assert not (tmp_path / "table").exists()


@pytest.mark.usefixtures("bundle")
def test_a_guard_of_no_group_is_told_what_it_cannot_compare(
    intel: Intel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GATEWAY_GUARD_INTEL_GROUP_KEY_FILE")

    taken = intel("import", "bundle", "--trusted", "trusted")
    exported = intel("export", "--name", "x", "--key", "key", "--traffic", "log", "-o", "bare")

    assert "5 digests are sealed for group" in taken.err
    assert "has no GATEWAY_GUARD_INTEL_GROUP_KEY_FILE" in taken.err
    assert "5 digests left out" in exported.err
    assert "c_0001: 3 network handed on" in exported.err


@pytest.mark.usefixtures("bundle")
def test_what_touches_an_allowed_network_is_refused_and_the_rest_taken(
    intel: Intel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_GUARD_INTEL_ALLOW", "203.0.113.64/26")

    ran = intel("import", "bundle", "--trusted", "trusted")

    assert (ran.code, "2 network" in ran.out) == (1, True)
    assert "203.0.113.0/24 touches 203.0.113.64/26, which GATEWAY_GUARD_INTEL_ALLOW" in ran.err


def test_stix_goes_out_and_comes_in_under_a_name(intel: Intel, tmp_path: Path) -> None:
    out = intel("export", "--name", "acme", "--format", "stix", "--tlp", "TLP:GREEN",
                "--traffic", "log", "-o", "acme.json")  # fmt: skip

    taken = intel("import", "acme.json", "--as", "their-feed")

    assert (out.code, taken.code) == (0, 0)
    assert "acme.json: 4 template, 3 network, 1 client from their-feed" in taken.out
    marked = json.loads((tmp_path / "acme.json").read_bytes())["objects"][1]
    assert marked["name"] == "TLP:GREEN"


def test_a_source_is_forgotten_by_its_name_and_no_other(intel: Intel, tmp_path: Path) -> None:
    intel("export", "--name", "acme", "--format", "stix", "--traffic", "log", "-o", "acme.json")
    intel("import", "acme.json", "--as", "feed")

    wrong = intel("forget", "fed")
    right = intel("forget", "feed")

    assert (wrong.code, "there are: feed" in wrong.err) == (2, True)
    assert right.code == 0
    assert TableFile(tmp_path / "table").read().size == 0


def test_a_log_whose_compression_is_damaged_is_said_to_be(intel: Intel, tmp_path: Path) -> None:
    whole = gzip.compress(b"x" * 100)
    (tmp_path / "log.gz").write_bytes(whole[:10] + b"\xff" * len(whole))

    ran = intel("export", "--name", "a", "--format", "stix", "--traffic", "log.gz")

    assert ran.code == 3
    assert "log.gz cannot be read beyond line 0: it is damaged" in ran.err


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("export", "--name", "a", "--format", "stix", "--traffic", "gone"), "gone cannot be read"),
        (("import", "gone", "--as", "x"), "gone: no such file"),
        (("import", "log", "--as", "x"), "log: this is no STIX bundle"),
        (("verify", "log", "--trusted", "log"), "log:1: write a name and a key"),
        (("serve", "--collection", "c", "--users", "u"), "c: cannot be read"),
    ],
)
def test_what_cannot_be_done_says_what_to_do(
    intel: Intel, words: tuple[str, ...], part: str
) -> None:
    ran = intel(*words)

    assert (ran.code, part in ran.err) == (3, True), ran.err


@pytest.mark.usefixtures("bundle")
def test_a_list_of_keys_with_a_mistake_is_blamed_on_no_bundle(intel: Intel, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("acme ed25519:none\n")

    ran = intel("import", "bundle", "--trusted", "keys")

    assert ran.code == 3
    assert ran.err.startswith("gateway-guard: keys:1: this is no Ed25519 public key")


def test_a_table_that_is_not_there_is_not_an_empty_one_without_a_word(intel: Intel) -> None:
    ran = intel("list", "--table", "typo")

    assert ran.code == 0
    assert ran.err == "typo: no such file yet; what is taken in first makes it\n"


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("export", "--name", "a", "--format", "stix", "--campaign", "c_9"), "held: c_0001"),
        (("list", "--source", "x"), "there are: none"),
        (("forget", "x"), "there are: none"),
    ],
)
def test_a_name_that_nothing_has_is_usage(intel: Intel, words: tuple[str, ...], part: str) -> None:
    ran = intel(*words)

    assert (ran.code, part in ran.err) == (2, True), ran.err


def test_decisions_of_crowdsec_come_in_and_networks_go_out(intel: Intel, tmp_path: Path) -> None:
    (tmp_path / "bouncer").write_text("bouncer-key\n")
    (tmp_path / "machine").write_text("pass-word\n")
    with StandIn() as lapi:
        lapi.decide(decision(), decision(value="192.168.0.1"))

        pulled = intel("crowdsec-pull", lapi.url, "--key-file", "bouncer")
        pushed = intel("crowdsec-push", lapi.url, "--machine", "guard", "--password-file",
                       "machine", "--traffic", "log", "--type", "captcha")  # fmt: skip
        alerts = lapi.alerts

    assert (pulled.code, "crowdsec: 1 decisions" in pulled.out) == (1, True)
    assert "192.168.0.1/32 is within or around 192.168.0.0/16" in pulled.err
    assert pushed.out.strip() == "3 networks of 1 campaigns handed over as captcha"
    assert len(alerts) == 3


def test_a_key_that_is_wrong_never_shows(intel: Intel, tmp_path: Path) -> None:
    (tmp_path / "bouncer").write_text("some-secret-key\n")
    with StandIn() as lapi:
        ran = intel("crowdsec-pull", lapi.url, "--key-file", "bouncer")

    assert ran.code == 3
    assert "cscli bouncers add" in ran.err
    assert "some-secret-key" not in ran.err + ran.out


def test_a_publication_says_where_it_is_served(intel: Intel) -> None:
    intel("export", "--name", "acme", "--format", "stix", "--traffic", "log", "-o", "acme.json")

    first: Any = json.loads(
        intel("publish", "acme.json", "--collection", "held", "--format", "json").out
    )
    again = intel("publish", "acme.json", "--collection", "held")

    assert first["new"] == first["entries"] > 10
    assert (
        f"0 new of {first['new']} objects; served at /shared/collections/{first['id']}/"
        in again.out
    )


def test_the_example_policy_does_what_its_cases_say() -> None:
    ran = run_cases(ROOT / "examples" / "intel" / "policy.test.yaml")

    assert len(ran.cases) == 5
    assert [case.it for case in ran.cases if not case.passed] == []


def test_the_example_page_names_only_commands_there_are(intel: Intel) -> None:
    page = (ROOT / "examples" / "intel" / "README.md").read_text("utf-8")

    for name in set(re.findall(r"gateway-guard intel ([a-z-]+)", page)):
        assert intel(name, "--help").code == 0, name


def test_pulls_go_on_with_what_changes_and_begin_anew_after_a_failure(
    intel: Intel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bouncer").write_text("bouncer-key\n")
    waits: list[float] = []
    sizes: list[int] = []
    with StandIn() as lapi:
        lapi.decide(decision())

        def sleep(seconds: float) -> None:
            waits.append(seconds)
            sizes.append(TableFile(tmp_path / "table").read().size)
            if len(waits) == 1:
                lapi.decide(decision(value="198.51.100.9"))
                lapi.end(decision())
            lapi.broken = len(waits) == 2
            if len(waits) == 4:
                raise KeyboardInterrupt

        monkeypatch.setattr(time, "sleep", sleep)
        ran = intel("crowdsec-pull", lapi.url, "--key-file", "bouncer", "--every", "10")
        asked = ["startup=true" in one for one in lapi.asked]

    assert asked == [True, False, False, True]
    assert waits == [10.0, 10.0, 20.0, 10.0]
    assert sizes == [1, 1, 1, 1]
    assert "answers 500" in ran.err


@pytest.mark.parametrize(
    ("asked", "waited"), [(None, 60.0), (120.0, 120.0), (5.0, 30.0), (7200.0, 7200.0)]
)
def test_a_server_that_says_when_to_come_back_is_left_alone_until_then(
    asked: float | None, waited: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    def turn() -> bool:
        if waits:
            raise KeyboardInterrupt
        raise IntelError("too many requests", after=asked)

    monkeypatch.setattr(time, "sleep", waits.append)

    with pytest.raises(KeyboardInterrupt):
        repeat(turn, 30.0)

    assert waits == [waited]
