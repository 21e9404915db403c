"""What holds where a policy says nothing of it, and how much is remembered."""

from __future__ import annotations

import pytest

from gateway_guard.core import address, prepared
from gateway_guard.core.adapt import Adapt, factor
from gateway_guard.core.buckets import Bucket
from gateway_guard.core.callbacks import SHORTEST_KEY
from gateway_guard.core.limit import Limit
from gateway_guard.core.sections import AccountSource, Adaptive, Identify, Inspect, Overload
from tests import build


def test_a_policy_that_says_nothing_of_bodies_reads_eight_mebibytes_and_keeps_no_text() -> None:
    assert Inspect() == Inspect(
        max_body=8_388_608, phrases=(), default_output_tokens=1024, shapes=True, keep_samples=0
    )


def test_nor_of_who_asks_believes_nobody() -> None:
    said = Identify()

    assert (said.client_ip, said.trusted, said.trust_unix) == ("peer", (), False)
    assert (said.tls_header, said.attributes, said.model_routes) == (None, (), ())
    assert [(one.kind, one.header) for one in said.accounts] == [
        ("state", ""), ("header", "authorization"), ("header", "x-api-key"), ("header", "api-key"),
        ("header", "x-goog-api-key"),
    ]  # fmt: skip
    assert not said.fetches


def test_keys_are_fetched_only_for_tokens_that_are_verified_by_a_key_set() -> None:
    def fetches(**fields: object) -> bool:
        source = AccountSource(**{"kind": "jwt", "header": "authorization"} | fields)  # type: ignore[arg-type]
        return Identify(accounts=(AccountSource(kind="state"), source)).fetches

    assert fetches(jwks="https://x.test")
    assert not fetches(key="k")
    assert not fetches(jwks="https://x.test", verify=False)
    assert not fetches(kind="header", jwks="https://x.test")


def test_a_token_is_verified_and_names_its_subject() -> None:
    source = AccountSource(kind="jwt")

    assert (source.verify, source.claim, source.state_key) == (True, "sub", "account")
    assert source.algorithms == ("RS256", "ES256", "EdDSA")


def test_overload_is_noticed_only_where_it_is_asked_for() -> None:
    assert (Overload().lag, Overload().upstream) == (None, None)
    assert Adaptive() == Adaptive(floor=20, ceiling=1000, tolerance=1.5, window=1.0)


def test_a_quota_that_says_nothing_of_an_age_or_a_risk_is_whole() -> None:
    assert factor(Adapt(), build.facts(), 1.0, build.NOW) == 1.0
    # An age nobody knows takes nothing away unless the policy says so.
    assert factor(Adapt(age=((100.0, 0.2),)), build.facts(), 0.0, build.NOW) == 1.0
    assert Adapt().recover == 0.0


def test_a_new_bucket_is_empty() -> None:
    assert Bucket() == Bucket(used=0.0, at=0.0)


def test_sixteen_pairs_of_sections_are_kept_and_then_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "kept", {})
    monkeypatch.setattr(prepared, "latest", prepared.latest)
    sections = [(Identify(), Inspect()) for _ in range(17)]

    made = [prepared.prepare(*one) for one in sections[:16]]
    assert [prepared.prepare(*one) for one in sections[:16]] == made
    assert prepared.latest is made[15]
    prepared.prepare(*sections[16])

    assert len(prepared.kept) == 1
    assert prepared.prepare(*sections[0]) is not made[0]


@pytest.mark.parametrize(("size", "kept"), [(256, 1), (257, 0)])
def test_what_a_path_means_is_remembered_up_to_256_bytes(size: int, kept: int) -> None:
    ready = prepared.Prepared(Identify(), Inspect())

    for _ in range(2):
        assert ready.place(b"/" + b"a" * (size - 1))[0] == "/" + "a" * (size - 1)
    assert len(ready.places) == kept


@pytest.mark.skipif(not prepared.__file__.endswith(".py"), reason="compiled: nothing to patch")
def test_so_many_paths_are_remembered_and_then_none(monkeypatch: pytest.MonkeyPatch) -> None:
    ready = prepared.Prepared(Identify(), Inspect())
    monkeypatch.setattr(prepared, "MOST_REMEMBERED", 3)
    sizes = []
    for number in range(5):
        ready.place(b"/%d" % number)
        sizes.append(len(ready.places))

    assert sizes == [1, 2, 3, 1, 2]


def test_a_limit_regains_its_quota_in_its_window_and_places_are_not_regained() -> None:
    def rate(window: float) -> float:
        return Limit(
            name="x", per=("account",), unit="requests", quota=30.0, window=window, burst=1.0
        ).rate

    assert [rate(window) for window in (60.0, 0.5, 0.0)] == [0.5, 60.0, 0.0]


def test_the_last_8192_addresses_are_remembered() -> None:
    assert address._remembered.cache_parameters()["maxsize"] == 8192


def test_a_key_of_a_provider_has_the_length_its_specification_asks_for() -> None:
    assert SHORTEST_KEY == 24
