"""`gateway-guard account export` and `erase`: all that is held of somebody, and an end to it."""

from __future__ import annotations

import gzip
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from gateway_guard.campaigns.reviews import Review, Ruling
from gateway_guard.campaigns.snapshot import Snapshot, thaw
from gateway_guard.record.audit import Audit
from gateway_guard.record.keeping import Keeper
from gateway_guard.record.line import line
from gateway_guard.record.reviews import append
from gateway_guard.record.snapshots import SnapshotFile
from gateway_guard.settings import Settings
from gateway_guard.streams.post import Post
from tests import build
from tests.campaigns import ring
from tests.cli.run import Ran, run
from tests.servers import needs_redis, shared_server, until
from tests.streams.team import send, team

Patch = pytest.MonkeyPatch
Capture = pytest.CaptureFixture[str]

MEMBER, OTHER = ring.member(1).account, ring.member(2).account
WHY = ("--reason", "asked for it, ticket 88", "--by", "ann")


@pytest.fixture
def log(path: Path, monkeypatch: Patch) -> Path:
    """A decision log and what was rotated away from it, of two accounts."""
    found = path.parent / "decisions.jsonl"
    found.write_bytes(decided(MEMBER, 3) + decided(OTHER, 4))
    Path(f"{found}.1.gz").write_bytes(gzip.compress(decided(MEMBER, 1) + decided(None, 2)))
    monkeypatch.setenv("GATEWAY_GUARD_DECISION_LOG", str(found))
    return found


def decided(account: str | None, number: int, organisation: str | None = None) -> bytes:
    request = build.request(id=f"r_{number}", account=account, at=build.NOW + number)
    facts = build.facts(account=build.account(organisation=organisation))
    return line(build.exchange(request=request, facts=facts))


def exported(monkeypatch: Patch, capfd: Capture, *words: str | Path) -> tuple[Any, Ran]:
    ran = run(monkeypatch, capfd, "account", "export", *words)
    return json.loads(ran.out), ran


def snapshot_of(path: Path) -> Snapshot:
    """What a guard with this file has learnt, once it has heeded the reviews."""
    keeper = Keeper(SnapshotFile(path), build.SECRET)
    keeper.finish()
    return thaw(path.read_bytes(), build.SECRET)


@pytest.mark.usefixtures("log")
def test_everything_held_of_an_account_is_exported_and_said_what_it_means(
    path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    run(monkeypatch, capfd, "account", "note", MEMBER, *WHY)
    accounts = path.parent / "accounts.jsonl"
    accounts.write_text(json.dumps({"account": MEMBER, "tier": "scale", "payment": "p_1"}))
    monkeypatch.setenv("GATEWAY_GUARD_ACCOUNTS_FILE", str(accounts))

    said, ran = exported(monkeypatch, capfd, MEMBER)

    (found,) = said["accounts"]
    assert ran.code == 0
    assert found["account"] == MEMBER
    assert found["attributes"]["tier"] == "scale"
    assert found["campaigns"]["membership"]["campaign"] == "c_0001"
    assert found["campaigns"]["trace"]["exchanges"] == ring.EXCHANGES
    assert (found["digests"]["payment"], len(found["digests"]["content"])) == ("card-1", 6)
    assert {one["id"] for one in found["decisions"]} == {"r_1", "r_3"}
    assert [one["reason"] for one in found["audit"]] == [WHY[1]]
    assert [one["reason"] for one in found["campaigns"]["reviews"]] == [WHY[1]]
    assert said["meaning"]["decisions"]["account"].startswith("keyed digest")
    assert set(said["meaning"]) >= found.keys() - {"account"}
    assert said["not_looked_into"] == []
    assert any("memory" in one for one in said["not_in_it"])
    assert OTHER not in ran.out


@pytest.mark.usefixtures("log", "path")
def test_who_decided_is_named_only_where_that_is_asked_for(
    monkeypatch: Patch, capfd: Capture
) -> None:
    run(monkeypatch, capfd, "account", "note", MEMBER, *WHY)

    without = run(monkeypatch, capfd, "account", "export", MEMBER).out
    with_names = run(monkeypatch, capfd, "account", "export", MEMBER, "--names").out

    assert '"ann"' not in without
    assert with_names.count('"by": "ann"') == 2


@pytest.mark.usefixtures("log")
def test_an_export_in_a_file_is_readable_by_its_owner_only(
    path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    out = path.parent / "of-them.json"

    ran = run(monkeypatch, capfd, "account", "export", MEMBER, "--out", out)

    assert (ran.code, ran.out) == (0, "")
    assert json.loads(out.read_bytes())["accounts"][0]["account"] == MEMBER
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


@pytest.mark.usefixtures("log", "path")
def test_of_an_account_nobody_has_seen_it_is_said_that_nothing_is_held(
    monkeypatch: Patch, capfd: Capture
) -> None:
    said, ran = exported(monkeypatch, capfd, ring.account("z", 7))

    assert ran.code == 1
    assert "nothing is held" in ran.err
    assert said["accounts"][0]["campaigns"]["trace"] is None


def test_what_could_not_be_looked_into_is_named(monkeypatch: Patch, capfd: Capture) -> None:
    monkeypatch.setenv("GATEWAY_GUARD_SECRET", build.SECRET.decode())

    said, ran = exported(monkeypatch, capfd, MEMBER)

    kinds = [one.partition(":")[0] for one in said["not_looked_into"]]
    assert kinds == ["campaigns", "audit", "decisions"]
    assert ran.err.count("not looked into: ") == 3


@pytest.mark.usefixtures("path")
def test_an_organisation_is_exported_with_all_accounts_that_anything_says_are_of_it(
    path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    logged = path.parent / "d.jsonl"
    logged.write_bytes(decided(ring.account("z", 1), 1, "org-a1"))
    accounts = path.parent / "accounts.csv"
    accounts.write_text(f"account,organisation\n{ring.account('z', 2)},org-a1\n")
    monkeypatch.setenv("GATEWAY_GUARD_ACCOUNTS_FILE", str(accounts))

    said, _ = exported(monkeypatch, capfd, "--organisation", "org-a1", "--log", logged)
    unknown = run(monkeypatch, capfd, "account", "export", "--organisation", "org-?")
    both = run(monkeypatch, capfd, "account", "export", MEMBER, "--organisation", "org-a1")

    assert {one["account"] for one in said["accounts"]} == {
        MEMBER, ring.account("z", 1), ring.account("z", 2),
    }  # fmt: skip
    assert (unknown.code, both.code) == (2, 2)
    assert "org-?" in unknown.err


def test_an_erased_account_is_in_no_log_and_no_snapshot_and_the_audit_file_says_who_did_it(
    path: Path, log: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    ran = run(monkeypatch, capfd, "account", "erase", MEMBER, *WHY)

    snapshot = snapshot_of(path)
    rotated = gzip.decompress(Path(f"{log}.1.gz").read_bytes())
    (entry,) = Audit.configured(Settings.from_environment(), path).entries()
    assert ran.code == 0, ran.err
    assert f"{MEMBER} erased" in ran.out
    assert f"{log}: 1 line taken out" in ran.out
    assert MEMBER.encode() not in path.read_bytes() + log.read_bytes() + rotated
    assert OTHER.encode() in log.read_bytes()
    assert len(snapshot.linker.memory.traces) == ring.MEMBERS + ring.BYSTANDERS - 1
    assert (entry.action, entry.account, entry.by, entry.reason) == (
        "erase", MEMBER, "ann", WHY[1],
    )  # fmt: skip
    assert "campaigns.audit, this one included" in ran.out
    assert "copies: backups" in ran.out


def test_a_ban_survives_and_that_is_said(
    path: Path, log: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    run(monkeypatch, capfd, "account", "ban", MEMBER, *WHY)

    ran = run(monkeypatch, capfd, "account", "erase", MEMBER, *WHY, "--format", "json")

    told = json.loads(ran.out)
    linker = snapshot_of(path).linker
    facts = linker.facts(MEMBER)
    assert any("ban by a reviewer is in force" in one for one in told["kept"])
    assert told["lines"] == {str(log): 1, f"{log}.1.gz": 1}
    assert facts is not None
    assert facts.banned
    assert MEMBER not in linker.memory.numbers


def test_an_organisation_is_erased_account_by_account(
    path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    ran = run(
        monkeypatch, capfd, "account", "erase", "--organisation", "org-a1", *WHY, "--format", "json"
    )

    assert json.loads(ran.out)["erased"] == [MEMBER]
    assert MEMBER not in snapshot_of(path).linker.memory.numbers


def test_what_cannot_be_written_down_is_not_erased(
    path: Path, log: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    monkeypatch.setenv("GATEWAY_GUARD_AUDIT_FILE", str(path.parent / "no" / "such" / "audit"))

    ran = run(monkeypatch, capfd, "account", "erase", MEMBER, *WHY)

    assert ran.code == 3
    assert "nothing was changed" in ran.err
    assert MEMBER.encode() in log.read_bytes()
    assert not Path(f"{path}.reviews").exists()


def test_a_log_that_cannot_be_cleaned_is_named_and_all_else_is_erased(
    path: Path, log: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    (Path(f"{log}.1.gz")).write_bytes(gzip.compress(decided(MEMBER, 1))[:40])

    ran = run(monkeypatch, capfd, "account", "erase", MEMBER, *WHY)

    assert ran.code == 3
    assert f"{log}.1.gz" in ran.err
    assert "erase again" in ran.err
    assert MEMBER.encode() not in log.read_bytes()
    assert MEMBER not in snapshot_of(path).linker.memory.numbers


def test_where_guards_keep_nothing_but_a_log_its_lines_are_taken_out(
    tmp_path: Path, monkeypatch: Patch, capfd: Capture
) -> None:
    logged = tmp_path / "d.jsonl"
    logged.write_bytes(decided(MEMBER, 1) + decided(OTHER, 2))

    ran = run(monkeypatch, capfd, "account", "erase", MEMBER, *WHY, "--log", logged)

    assert ran.code == 0
    assert "1 line taken out" in ran.out
    assert "what running guards keep in memory" in ran.out
    assert "not audited" in ran.err
    assert MEMBER.encode() not in logged.read_bytes()


def test_reviews_of_before_are_not_what_a_restart_brings_back(path: Path) -> None:
    """A verification that stands in the journal before the erasure is over after a restart, too."""
    reviews = Path(f"{path}.reviews")
    append(reviews, Review(at=build.NOW, ruling=Ruling.VERIFY, account=MEMBER, until=9e9))
    append(reviews, Review(at=build.NOW + 1e6, ruling=Ruling.ERASE, account=MEMBER))

    keeper = Keeper(SnapshotFile(path), build.SECRET)

    assert not keeper.register.standing.verified(MEMBER, build.NOW + 2)
    assert MEMBER not in keeper.linker.memory.numbers


@needs_redis
def test_with_a_store_all_guards_and_the_linker_forget_and_what_drains_is_said(
    monkeypatch: Patch, capfd: Capture
) -> None:
    monkeypatch.setenv("GATEWAY_GUARD_SECRET", build.SECRET.decode())
    with team(shared_server()) as crew:
        where = ("--store", crew.server.uri, "--namespace", crew.namespace)
        linker = crew.linker()
        send(ring.stream(exchanges=2), linker)
        known = linker.leader
        assert known is not None
        until(
            lambda: known.pupil is not None and MEMBER in known.pupil.linker.memory.numbers,
            "the linker has learnt",
        )
        crew.do("SET", f"{crew.namespace}:{{{MEMBER}}}:b", b"\x02rq" + bytes(24), "PX", 90_000)
        post = Post(crew.server.uri, crew.namespace, build.SECRET)
        post.review(Review(at=build.NOW, ruling=Ruling.VERIFY, account=MEMBER, until=9e9))

        before, _ = exported(monkeypatch, capfd, MEMBER, *where)
        ran = run(monkeypatch, capfd, "account", "erase", MEMBER, *WHY, *where)
        until(
            lambda: known.pupil is not None and MEMBER not in known.pupil.linker.memory.numbers,
            "the linker has forgotten it",
        )
        linker.close()
        after, _ = exported(monkeypatch, capfd, MEMBER, *where)
        named = exported(monkeypatch, capfd, "--organisation", "org-a2", *where)[0]["accounts"]

    (held,), (left,) = before["accounts"], after["accounts"]
    assert held["verified_until"] == 9e9
    assert [(one["limit"], one["units"]) for one in held["limits"]] == [("rq", 0.0)]
    assert ran.code == 0, ran.err
    assert "what it used of 1 limit, in the store: it drains, and is gone in 90 s" in ran.out
    assert "a digest of who verified it" in ran.out
    assert left["verified_until"] is None
    assert left["campaigns"]["trace"] is None
    assert [one["account"] for one in named] == [OTHER]


@needs_redis
def test_who_may_not_walk_the_keys_of_a_store_exports_and_erases_all_else(
    monkeypatch: Patch, capfd: Capture
) -> None:
    monkeypatch.setenv("GATEWAY_GUARD_SECRET", build.SECRET.decode())
    with team(shared_server()) as crew:
        user, password = f"u{crew.namespace}", "no-scan-for-it"
        crew.do("ACL", "SETUSER", user, "on", f">{password}", "~*", "&*", "+@all", "-scan")
        uri = crew.server.uri.replace("redis://", f"redis://{user}:{password}@")
        monkeypatch.setenv("GATEWAY_GUARD_STORE", uri)
        monkeypatch.setenv("GATEWAY_GUARD_STORE_NAMESPACE", crew.namespace)
        Post(uri, crew.namespace, build.SECRET).review(
            Review(at=build.NOW, ruling=Ruling.CHALLENGE, account=MEMBER)
        )

        said, _ = exported(monkeypatch, capfd, MEMBER)
        ran = run(monkeypatch, capfd, "account", "erase", MEMBER, *WHY)
        crew.do("ACL", "DELUSER", user)

    assert said["accounts"][0]["challenged"] is True
    assert any(one.startswith("limits: ") for one in said["not_looked_into"])
    assert password not in json.dumps(said)
    assert ran.code == 0, ran.err
    assert "limits: " in ran.out
