"""The table of what was taken in: replaced, merged, bounded, on disk and in a guard."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway_guard.errors import IntelError, SettingsError
from gateway_guard.intel.file import Indicators, TableFile, limits_of
from gateway_guard.intel.matching import Matcher
from gateway_guard.intel.table import (
    MOST_SOURCES,
    Source,
    Table,
    decode,
    encode,
    merged,
    pruned,
    replaced,
    without,
)
from gateway_guard.settings import Settings
from tests import build
from tests.intel import cases

STIX = Source(kind="stix", taken_at=1)


def ids(table: Table) -> list[tuple[str, str]]:
    return sorted((source, one.id) for source, one in table.pairs())


def test_replacing_takes_out_what_a_source_no_longer_says_and_leaves_others_alone() -> None:
    table = replaced(Table(), "acme", STIX, [cases.indicator(id="1"), cases.indicator(id="2")])
    table = replaced(table, "other", STIX, [cases.indicator(id="1")])

    table = replaced(table, "acme", STIX, [cases.indicator(id="2"), cases.indicator(id="3")])

    assert ids(table) == [("acme", "2"), ("acme", "3"), ("other", "1")]


def test_merging_adds_updates_and_takes_out_what_was_taken_back() -> None:
    table = merged(Table(), "acme", STIX, [cases.indicator(id=str(n)) for n in range(3)])

    table = merged(table, "acme", STIX, [cases.indicator(id="1", confidence=5)], removed={"0", "9"})

    assert ids(table) == [("acme", "1"), ("acme", "2")]
    assert table.sources["acme"].indicators["1"].confidence == 5


def test_said_anew_is_more_than_taken_back_in_one_step() -> None:
    table = merged(Table(), "acme", STIX, [cases.indicator(id="1")], removed={"1"})

    assert ids(table) == [("acme", "1")]


def test_a_source_cannot_become_one_of_another_kind() -> None:
    table = replaced(Table(), "acme", Source(kind="guard", taken_at=1, number=9), [])

    with pytest.raises(IntelError, match=r"another kind \(guard\)"):
        replaced(table, "acme", STIX, [])


def test_there_are_only_so_many_sources() -> None:
    table = Table()
    for number in range(MOST_SOURCES):
        table = replaced(table, f"s{number}", STIX, [])

    with pytest.raises(IntelError, match="intel forget"):
        replaced(table, "one-more", STIX, [])
    assert len(without(table, "s0").sources) == MOST_SOURCES - 1


def test_too_many_are_cut_from_the_largest_sources_the_least_sure_first() -> None:
    table = replaced(
        Table(), "loud", STIX, [cases.indicator(id=str(n), confidence=n) for n in range(50)]
    )
    table = replaced(table, "quiet", STIX, [cases.indicator(id=str(n)) for n in range(4)])

    table, dropped = pruned(table, now=build.NOW, most=10)

    assert dropped == 44
    assert len(table.sources["quiet"].indicators) == 4
    assert sorted(table.sources["loud"].indicators) == ["44", "45", "46", "47", "48", "49"]


def test_what_has_expired_makes_room() -> None:
    old = cases.indicator(id="old", until=int(build.NOW))
    table = replaced(Table(), "acme", STIX, [old, cases.indicator(id="new")])

    table, dropped = pruned(table, now=build.NOW, most=1)

    assert (ids(table), dropped) == ([("acme", "new")], 0)


def test_a_table_comes_back_as_it_was_written() -> None:
    table = replaced(Table(), "acme", STIX, [cases.indicator()])

    assert decode(encode(table)) == table


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"\xff", b'{"format":"x","version":1,"sources":{}}', b"[" * 100_000,
     b'{"format":"gateway-guard indicators","version":2,"sources":{}}'],
)  # fmt: skip
def test_something_else_is_no_table(data: bytes) -> None:
    with pytest.raises(IntelError, match="no table of indicators"):
        decode(data)


def put(path: Path, *values: str) -> None:
    ones = [cases.indicator(id=value, value=value) for value in values]
    TableFile(path).update(lambda _: replaced(Table(), "acme", STIX, ones))


def indicators(path: Path) -> Indicators:
    return Indicators(path, clock=lambda: build.NOW)


def test_a_guard_reads_a_table_that_comes_changes_and_goes(tmp_path: Path) -> None:
    path = tmp_path / "table"
    held = indicators(path)
    request = build.request(client_ip="203.0.113.7")
    assert held.match is None

    put(path, "203.0.113.0/24")
    assert held.reload()
    assert held.match is not None
    assert len(held.match(request)) == 1
    put(path, "198.51.100.0/24")
    assert held.reload()
    assert held.match is not None
    assert held.match(request) == ()
    path.unlink()
    assert held.reload()
    assert held.match is None


def test_a_damaged_table_leaves_the_last_good_one_in_force_and_is_said(tmp_path: Path) -> None:
    path = tmp_path / "table"
    put(path, "203.0.113.0/24")
    held = indicators(path)

    path.write_bytes(b"{")

    assert [held.reload(), held.reload()] == [False, False]
    assert held.loaded == 1
    assert held.match is not None
    assert str(path) in str(held.describe()["error"])
    put(path.with_name("new"), "198.51.100.0/24", "192.0.2.0/24")
    path.with_name("new").replace(path)
    assert held.reload()
    assert held.loaded == 2


def test_a_guard_does_not_start_with_a_damaged_table(tmp_path: Path) -> None:
    path = tmp_path / "table"
    path.write_bytes(b"{")

    with pytest.raises(IntelError, match="move it away"):
        indicators(path)


def test_a_table_is_its_owners_alone_and_whole_after_a_failed_write(tmp_path: Path) -> None:
    path = tmp_path / "table"
    put(path, "203.0.113.0/24")
    before = path.read_bytes()

    def fail(_: Table) -> Table:
        raise IntelError("no")

    with pytest.raises(IntelError):
        TableFile(path).update(fail)

    assert path.read_bytes() == before
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(one.name for one in tmp_path.iterdir()) == ["table", "table.lock"]


def test_a_place_nobody_can_write_to_is_named(tmp_path: Path) -> None:
    with pytest.raises(IntelError, match=r"no-such.table: cannot be written: No such file"):
        TableFile(tmp_path / "no-such" / "table").update(lambda table: table)


def test_settings_say_what_indicators_may_name(tmp_path: Path) -> None:
    key = tmp_path / "group"
    key.write_text("0123456789abcdef0123456789abcdef\n")

    settings = Settings.from_environment(
        {
            "GATEWAY_GUARD_INTEL_WIDEST": "/20,/40",
            "GATEWAY_GUARD_INTEL_ALLOW": "192.0.2.0/24, 2001:db8::/32",
            "GATEWAY_GUARD_INTEL_GROUP_KEY_FILE": str(key),
        }
    )

    limits = limits_of(settings)
    assert (limits.widest_v4, limits.widest_v6, len(limits.allowed)) == (20, 40, 2)
    assert settings.intel_group_key == b"0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("environ", "part"),
    [
        ({"GATEWAY_GUARD_INTEL_WIDEST": "24"}, "write two prefix lengths"),
        ({"GATEWAY_GUARD_INTEL_WIDEST": "/4,/48"}, "IPv4 .8 to 32."),
        ({"GATEWAY_GUARD_INTEL_ALLOW": "192.0.2.1/24"}, "GATEWAY_GUARD_INTEL_ALLOW"),
        ({"GATEWAY_GUARD_INTEL_GROUP_KEY_FILE": "/nowhere"}, "openssl rand -hex 32"),
        ({"GATEWAY_GUARD_MAX_INDICATORS": "many"}, "whole number"),
    ],
)
def test_a_setting_that_makes_no_sense_says_what_to_write(
    environ: dict[str, str], part: str
) -> None:
    with pytest.raises(SettingsError, match=part):
        Settings.from_environment(environ)


def test_a_group_key_that_is_short_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("short")

    with pytest.raises(SettingsError, match="needs at least 16"):
        Settings.from_environment({"GATEWAY_GUARD_INTEL_GROUP_KEY_FILE": str(tmp_path / "key")})


def test_a_matcher_goes_with_its_table() -> None:
    import gc
    import weakref

    made = Matcher([("acme", cases.indicator())], now=build.NOW, limits=limits_of(Settings()))
    assert made.match is not None
    assert made.match(build.request(client_ip="203.0.113.7"))
    gone = weakref.ref(made)
    gc.disable()
    try:
        del made
        assert gone() is None
    finally:
        gc.enable()
