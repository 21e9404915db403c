"""`mode` and `rollout` of one rule or limit: for whom it acts, and for whom it rehearses."""

from __future__ import annotations

from gateway_guard.policy.values import Section


def acting(section: Section, what: str) -> tuple[bool, float]:
    """Whether `what` (a rule, a limit) only rehearses, and for what share of accounts it acts."""
    shadow, rollout = section.read("mode") == "shadow", section.read("rollout") or 1.0
    if shadow and "rollout" in section:
        section.found.at(
            "GG307",
            section.place("rollout"),
            f"`rollout` on a {what} that only rehearses",
            hint="leave out `mode: shadow` or `rollout`",
        )
    return shadow, rollout
