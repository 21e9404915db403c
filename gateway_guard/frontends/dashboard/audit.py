"""What people decided, and whether the record of it is whole. Pure."""

from __future__ import annotations

from typing import Final
from xml.etree.ElementTree import Element

from gateway_guard.frontends.dashboard.account import entries_table
from gateway_guard.frontends.dashboard.shell import HOME, Reader, card, empty, notice, shell
from gateway_guard.frontends.dashboard.views import AuditView
from gateway_guard.pages.markup import tag

_HERE: Final = f"{HOME}/audit"


def audit_page(view: AuditView, reader: Reader) -> str:
    """The latest entries, and the state of the chain."""
    table = (
        entries_table(view.entries, about=True)
        if view.entries
        else empty("Nobody has decided anything yet. Bans, releases and notes from this page and "
                   "from the command line come here.")
    )  # fmt: skip
    return shell(
        "Audit", _HERE, reader,
        tag("p", "Every decision of a person, chained by keyed digests: no line can be changed, "
            "removed or added without the secret. ", tag("code", "gateway-guard audit verify"),
            " checks the same.", cls="lead"),
        _state(view),
        card("Decisions, the latest first", table),
    )  # fmt: skip


def _state(view: AuditView) -> Element | None:
    checked = view.checked
    if view.off:
        return notice("bad", view.off)
    if checked is None:
        return None
    if checked.broken is not None:
        return notice(
            "bad", "The record is not as it was written. ", tag("code", checked.broken), f": "
            f"{checked.why}. {checked.entries:,} entries before it are whole.",
        )  # fmt: skip
    entries = "1 entry" if checked.entries == 1 else f"{checked.entries:,} entries"
    return notice(
        "good", tag("code", view.file), f": {entries}, whole. Last ", tag("code", str(checked.last))
    )
