"""Lists of the dashboard that grow: the first rows are shown, the rest when asked for."""

from __future__ import annotations

import msgspec
import pytest

from gateway_guard.campaigns.reviews import Ruling
from gateway_guard.frontends.dashboard.account import accounts_page
from gateway_guard.frontends.dashboard.audit import audit_page
from gateway_guard.frontends.dashboard.campaigns import campaigns_page
from gateway_guard.frontends.dashboard.views import MOST_RULINGS, AuditView, Ruled
from gateway_guard.record.chain import Entry
from tests import build
from tests.campaigns import ring
from tests.frontends.dashboard import views

SEEN = views.campaigns()


def test_a_thousand_campaigns_are_folded_the_largest_shown() -> None:
    found = tuple(
        msgspec.structs.replace(SEEN.found[0], id=f"c_{i:04}", members=2000 - i)
        for i in range(1, 1001)
    )

    html = campaigns_page(msgspec.structs.replace(SEEN, found=found), views.REVIEWER, build.NOW)

    assert html.count('<tr class="rest">') == 970
    assert "Show all 1,000 campaigns, not only the first 30" in html


def test_campaigns_let_go_are_folded() -> None:
    ended = tuple(msgspec.structs.replace(SEEN.let_go[0], id=f"c_{i:04}") for i in range(50))

    html = campaigns_page(msgspec.structs.replace(SEEN, let_go=ended), views.REVIEWER, build.NOW)

    assert html.count('<tr class="rest">') == 30


@pytest.mark.parametrize(("count", "said"), [(MOST_RULINGS, True), (40, False)])
def test_rulings_are_folded_and_where_older_ones_are_is_said(count: int, said: bool) -> None:
    ruled = tuple(
        Ruled(account=ring.account("a", i), ruling=Ruling.BAN, until=None) for i in range(count)
    )
    seen = msgspec.structs.replace(SEEN, rulings=ruled)

    html = accounts_page(views.tally(), seen, views.REVIEWER)

    assert html.count('<tr class="rest">') == count - 20
    assert ("what is older is in the audit file" in html) is said


def test_a_search_for_accounts_is_one_among_rulings_too() -> None:
    ruled = tuple(
        Ruled(account=ring.account("a", i), ruling=Ruling.BAN, until=None) for i in (41, 42)
    )
    seen = msgspec.structs.replace(SEEN, rulings=ruled)

    html = accounts_page(views.tally(), seen, views.REVIEWER, asked=ring.account("a", 42)[-3:])

    assert ring.account("a", 42) in html
    assert ring.account("a", 41) not in html


def test_the_audit_file_is_folded() -> None:
    entries = tuple(
        Entry(n=i, at=build.NOW, action="note", account=views.ACCOUNT, by="mia", reason="x",
              prev="") for i in range(200)
    )  # fmt: skip

    html = audit_page(AuditView(entries=entries, file="/a"), views.REVIEWER)

    assert html.count('<tr class="rest">') == 150
