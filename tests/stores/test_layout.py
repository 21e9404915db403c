"""Keys: what lies together, and that nothing of a request stands in them."""

from __future__ import annotations

import itertools

import pytest

from gateway_guard.errors import SettingsError
from gateway_guard.stores.layout import Layout, check_namespace
from gateway_guard.types import Charge
from tests import build

ACCOUNT = "acct_k3vqabcdefgh2345"


def layout(**more: object) -> Layout:
    fields: dict[str, object] = {"scattered": True, "given_back": False} | more
    return Layout(build.SECRET, "gg", **fields)  # type: ignore[arg-type]


def charge(key: str, unit: str = "requests") -> Charge:
    return build.charge(limit=key.partition(":")[0], key=key, unit=unit)


def test_every_limit_of_one_account_is_one_visit_also_per_model() -> None:
    charges = (
        charge(f"requests:{ACCOUNT}"),
        charge(f"in-flight:{ACCOUNT}", "concurrent"),
        charge(f"tokens:{ACCOUNT}|apex-4", "tokens"),
        charge(f"by-net:203.0.113.0/24|{ACCOUNT}"),
    )

    (visit,) = layout().visits(charges, "r_1")

    tag = b"gg:{%s}" % ACCOUNT.encode()
    assert all(key.startswith(tag) for key in visit.keys)
    assert visit.keys[0] == tag + b":r:r_1"
    assert visit.renews == (visit.keys[0], tag + b":c:in-flight")


def test_groups_are_visited_account_first_and_then_in_everybodys_order() -> None:
    charges = [charge(key) for key in ("ip:203.0.113.7", f"mine:{ACCOUNT}", "land:NO", "m:apex-4")]

    orders = {
        tuple(visit.keys[0] for visit in layout().visits(order, "r_1"))
        for order in itertools.permutations(charges)
    }

    (order,) = orders
    assert len(order) == 4
    assert ACCOUNT.encode() in order[0]


def test_outside_a_cluster_everything_is_one_visit() -> None:
    charges = (charge("ip:203.0.113.7"), charge(f"mine:{ACCOUNT}"), charge("land:NO"))

    (visit,) = layout(scattered=False).visits(charges, "r_1")

    assert visit.stop.numbers == (0, 1, 2)


def test_addresses_models_and_names_are_digested_with_the_secret() -> None:
    charges = (
        charge("ip:203.0.113.7"),
        charge("both:apex-4|NO"),
        charge("org:acct_me"),
        charge("mine:anonymous:203.0.113.0/24"),
    )

    keys = [key for visit in layout().visits(charges, "r_1") for key in visit.keys]
    other = Layout(b"another secret of tests.", "gg", scattered=True, given_back=False)
    others = [key for visit in other.visits(charges, "r_1") for key in visit.keys]

    text = b"".join(keys)
    for plain in (b"203", b"apex", b"NO", b"acct_me", b"anonymous"):
        assert plain not in text
    assert not set(keys) & set(others)


def test_keys_that_differ_never_share_a_place() -> None:
    names = ("a:b", "a:b|c", "a:c|b", "b:b", f"a:{ACCOUNT}", f"a:{ACCOUNT}|b", "a:", "a:|")
    visits = [layout().visits((charge(name, unit),), "r_1")[0]
              for name in names for unit in ("requests", "concurrent")]  # fmt: skip

    places = {(visit.keys[1], visit.stop.spots[0]) for visit in visits}

    assert len(places) == 2 * len(names)


def test_a_name_of_any_length_fits() -> None:
    (visit,) = layout().visits((charge("x" * 5000 + ":a"),), "r_1")

    assert len(visit.stop.spots[0][2]) < 256


@pytest.mark.parametrize("name", ["", "a:b", "{a}", "a*", "a b", "-a", "x" * 33, "é"])
def test_a_namespace_cannot_move_slots_or_match_foreign_keys(name: str) -> None:
    with pytest.raises(SettingsError, match="no namespace"):
        check_namespace(name)
