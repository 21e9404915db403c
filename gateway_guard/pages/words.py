"""The words and figures of a campaign report."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from gateway_guard.campaigns.ended import WORDS, Ended
from gateway_guard.campaigns.known import Shared
from gateway_guard.campaigns.traces import MOST_PLACES, MOST_SHARED
from gateway_guard.campaigns.words import times

#: Kinds of evidence and of ties, as headings. One that is not here is shown by its own name.
KINDS: Final = {
    "payment": "Payment instrument",
    "addresses": "Address range",
    "sign-up": "Sign-up burst",
    "content": "Template",
    "client": "Client software",
    "pace": "Even pace",
    "pivot": "Move to a new model",
}
_RAISED: Final = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def _points(text: str) -> tuple[str, ...]:
    return tuple(" ".join(point.split()) for point in text.split("\n\n"))


#: What the method sees, in short.
METHOD: Final = _points("""
    Accounts of different organisations that share something are put together: a payment
    instrument, a range of addresses, the half hour of sign-up, a template. A template proposes a
    group and helps to tell its members; it is never evidence against the group.

    For each kind of tie the members that have one are counted and held against what chance and
    ordinary life would give. The result is a likelihood ratio; the ratios are multiplied, and the
    product must exceed a bar that rises with the number of groups ever looked at.

    At least two kinds must speak for themselves, and every innocent explanation that is known
    (such as one payer, one place, one product) must leave something that it does not explain.

    Each account is then held against what the others have in common. That gives its own
    confidence, which can be low where the group's is high.
""")
#: What it does not see.
LIMITS: Final = _points(f"""
    This is evidence of common control, not of intent. Customers of one reseller, agency or class
    can look alike in more ways than were thought of: look at the ties before you act.

    Odds take members to be independent of each other, which is never quite true. Read a figure
    with many digits as “far above the bar”, not as a probability.

    The latest {MOST_PLACES} ranges of addresses, {MOST_SHARED} content keys and one week of hours
    are remembered of an account. What is older is missing here, and counts of other accounts are
    the least there are.

    Exchanges by hour, and of templates, are counted from the alarm on. Times are UTC. A country is
    that of an address, which a VPN or proxy may have chosen.

    Accounts are keyed digests, which only the operator can match to customers. Labels such as P1
    mean nothing outside of this report. It holds no address and no payment data.
""")
#: What is said of text, when there is none and when there is some.
NO_TEXT: Final = "It holds no text of a prompt."
SOME_TEXT: Final = (
    "It holds the beginning of some prompts, because the policy said `keep_samples`: they may hold "
    "what customers wrote. Hand them on with care."
)


def day(at: float) -> str:
    """`2 Mar`, in UTC."""
    when = datetime.fromtimestamp(at, UTC)
    return f"{when.day} {when:%b}"


def date(at: float) -> str:
    """`2 March 2026`, in UTC."""
    when = datetime.fromtimestamp(at, UTC)
    return f"{when.day} {when:%B %Y}"


def moment(at: float) -> str:
    """`2 Mar 2026, 10:28`, in UTC."""
    when = datetime.fromtimestamp(at, UTC)
    return f"{when.day} {when:%b %Y, %H:%M}"


def instant(at: float) -> str:
    """`2 Mar 2026, 10:28:07`, in UTC."""
    return f"{moment(at)}:{int(at) % 60:02}"


def between(first: float | None, last: float | None) -> str:
    """`2 Mar 2026, 10:28–10:51`, both days where they differ; empty when either is unknown."""
    if first is None or last is None:
        return ""
    same = date(first) == date(last)
    return f"{moment(first)}–{moment(last)[-5:]}" if same else f"{moment(first)} – {moment(last)}"


def let_go(one: Ended, name: str, into: str = "") -> str:
    """What became of a campaign held no longer, known as `name`, in two sentences; `into` is the
    one it turned out to be part of, where that is held.
    """
    part = f", {into}" if into else ""
    return (
        f"{name}, held for {lasting(one.ended_at - one.alarm_at)} until {moment(one.ended_at)} "
        f"UTC, was let go: {WORDS[one.why]}{part}. It had {many(one.members, 'account')}; "
        f"{one.refused:,} of their {many(one.exchanges, 'exchange')} since the alarm were refused."
    )


def lasting(seconds: float) -> str:
    """`12 seconds`, `40 minutes`, `10.5 hours`, `6.0 days`."""
    if seconds < 90:
        return many(round(seconds), "second")
    if seconds < 5400:
        return many(round(seconds / 60), "minute")
    if seconds < 172800:
        return f"{seconds / 3600:.1f} hours"
    return f"{seconds / 86400:.1f} days"


def many(count: int, word: str) -> str:
    """`1 account`, `2,000 accounts`."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def short(count: int) -> str:
    """`950`, `12.3 k`, `4.1 M`."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        # What would be rounded up to a thousand of one unit is one of the next.
        if count >= 0.99995 * size:
            return f"{count / size:.1f} {unit}"
    return str(count)


def signed(points: float) -> str:
    """`+3.4`, `−5.0`."""
    return f"{points:+.1f}".replace("-", "−")


def sure(share: float) -> str:
    """A probability in per cent; never 100 %, which nothing of this is."""
    return "> 99.9%" if share > 0.999 else f"{100 * share:.1f}%"


def in_short(shares: Sequence[Shared]) -> list[str]:
    """What an account shares, a line a kind: of how many values, and with how many others."""
    lines = []
    for kind in dict.fromkeys(one.kind for one in shares):
        counts = sorted((one.others for one in shares if one.kind == kind), reverse=True)
        with_others = [count for count in counts if count]
        if not with_others:
            lines.append(f"{kind}: with nobody")
        elif len(counts) == 1:
            lines.append(f"{kind}: with {many(counts[0], 'other account')}")
        else:
            lines.append(
                f"{kind}: {len(with_others)} of {len(counts)} with others, one of them with "
                f"{many(with_others[0], 'other account')}"
            )
    return lines


def extent(shortest: int | None, longest: int | None) -> str:
    """`700–900`, `700`; `–` when unknown."""
    if shortest is None or longest is None:
        return "–"
    return f"{shortest:,}" if shortest == longest else f"{shortest:,}–{longest:,}"


def raised(text: str) -> str:
    """Powers of ten as they are written by hand."""
    return re.sub(r"10\^(\d+)", lambda found: "10" + found[1].translate(_RAISED), text)


def odds(log_ratio: float) -> str:
    """A likelihood ratio, given as natural logarithm, as odds."""
    return raised(times(log_ratio))
