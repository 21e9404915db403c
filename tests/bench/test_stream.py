"""The made-up provider's traffic is what the benchmark says it is."""

from __future__ import annotations

import itertools
from collections import Counter

from tests.bench.stream import DAILY, DAYS, LIFE, START, Scale, Stream

TINY = Scale(scale=0.002)


def test_the_stream_is_in_time_order_and_within_its_days() -> None:
    times = [seen.at for seen, _ in Stream(TINY)]

    assert all(a <= b for a, b in itertools.pairwise(times))
    assert times[0] >= START
    assert times[-1] < START + DAYS * 86_400


def test_nobody_acts_before_signing_up() -> None:
    assert all(
        seen.created_at is not None and seen.created_at <= seen.at for seen, _ in Stream(TINY)
    )


def test_the_campaign_is_as_large_as_stated() -> None:
    exchanges = Counter(seen.account for seen, campaign in Stream(TINY) if campaign is not None)

    assert len(exchanges) == TINY.harvesters
    assert abs(exchanges.total() / TINY.harvesters / (DAILY * LIFE) - 1) < 0.05


def test_an_account_is_the_same_organisation_throughout_and_in_every_run() -> None:
    first, second = (
        {
            (seen.account, seen.organisation, seen.payment, seen.created_at)
            for seen, _ in Stream(TINY)
        }
        for _ in range(2)
    )

    assert first == second
    assert len(first) == len({account for account, *_ in first})
