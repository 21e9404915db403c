"""Who is known to be an attacker and who is not, and how a policy does against that knowledge."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway_guard.cli.tally import Fate, Tally
from gateway_guard.errors import SourceError

#: How a label may be spelt: in labelled traffic, and as a reviewer's verdict.
_SPELT: Final = {"attack": "attack", "ban": "attack", "benign": "benign", "allow": "benign"}
#: Not decided: as if the line were not there.
_OPEN: Final = frozenset(("", "unknown"))
#: The two-sided 95 % quantile of the normal distribution.
_Z: Final = 1.959964


class Label(msgspec.Struct, frozen=True):
    """What is known of one account.

    Attributes:
        label: `attack` or `benign`.
        kind: the `class` column; empty when there is none.
        scenario: the `scenario` column; empty when there is none.
    """

    label: str
    kind: str = ""
    scenario: str = ""


def read_labels(path: Path) -> dict[str, Label]:
    """Account → label, from CSV with the columns `account` and `label`, in any order.

    `class` and `scenario` are read where they are; other columns are not. A label is `attack` or
    `benign`, or a reviewer's `ban` or `allow`; empty and `unknown` leave the account unlabelled. Of
    two lines for one account the later counts: reviewers change their minds.

    Raises:
        SourceError: the file cannot be read, a column is missing or a label is none of these.
    """
    labels: dict[str, Label] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file, strict=True, skipinitialspace=True)
            columns = rows.fieldnames or ()
            for column in ("account", "label"):
                if column not in columns:
                    raise SourceError(
                        f"{path}: no column {column!r}: the first line names the columns, with "
                        "commas between them: account, label, and any of class, scenario"
                    )
            for row in rows:
                account, word = (row["account"] or "").strip(), (row["label"] or "").strip().lower()
                labels.pop(account, None)
                if word in _OPEN:
                    continue
                if word not in _SPELT:
                    raise SourceError(
                        f"{path}:{rows.line_num}: label {word[:40]!r} is none of attack, benign, "
                        "ban, allow, unknown"
                    )
                kind, scenario = row.get("class") or "", row.get("scenario") or ""
                labels[account] = Label(_SPELT[word], kind, scenario)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: not CSV in UTF-8 ({error})") from error
    return labels


def wilson(k: int, n: int) -> tuple[float, float]:
    """95 % interval of the share k/n, each end in [0, 1]; (0, 1) for n = 0.

    It takes the n as independent; accounts of one organisation are not, so the truth is wider.

    Source: Wilson (1927).
    """
    if n == 0:
        return 0.0, 1.0
    p, z2 = k / n, _Z * _Z
    centre = p + z2 / (2 * n)
    half = _Z * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    scale = 1 + z2 / n
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)


def score(tally: Tally, labels: Mapping[str, Label]) -> dict[str, Any]:
    """How one policy did: each share as its k, n, share (None for n = 0) and 95 % interval.

    `precision`: contained accounts that are attackers. `recall`: attackers that are contained.
    `benign_contained`, `benign_met` (accounts; of these any exchange was refused, at whatever
    time), `benign_refused` and `benign_restricted` (exchanges): what it costs the others.
    `attack_answered`: attack exchanges answered, in full or restricted.
    """
    known = {a: fate for a, fate in tally.accounts.items() if a in labels}
    attack = [fate for a, fate in known.items() if labels[a].label == "attack"]
    benign = [fate for a, fate in known.items() if labels[a].label == "benign"]
    caught, wronged = _contained(attack), _contained(benign)
    sent, taken = _total(attack), sum(fate.refused for fate in attack)
    asked = _total(benign)
    return {
        "policy": tally.policy.source,
        "attack": len(attack),
        "benign": len(benign),
        "unlabelled": len(tally.accounts) - len(known),
        "not_in_traffic": len(labels) - len(known),
        "precision": _share(caught, caught + wronged),
        "recall": _share(caught, len(attack)),
        "benign_contained": _share(wronged, len(benign)),
        "benign_met": _share(_met(benign), len(benign)),
        "benign_refused": _share(sum(fate.refused for fate in benign), asked),
        "benign_restricted": _share(sum(fate.restricted for fate in benign), asked),
        "attack_answered": _share(sent - taken, sent),
    }


def by_class(tally: Tally, labels: Mapping[str, Label]) -> list[dict[str, Any]]:
    """Per label, class and scenario: accounts, contained ones, `met` (refused at any time),
    exchanges, refused exchanges.

    Accounts without a label are `unlabelled`.
    """
    groups: dict[tuple[str, str, str], list[Fate]] = {}
    for account, fate in tally.accounts.items():
        label = labels.get(account, _UNLABELLED)
        groups.setdefault((label.label, label.scenario, label.kind), []).append(fate)
    return [
        {
            "label": label, "class": kind, "scenario": scenario, "accounts": len(fates),
            "contained": _contained(fates), "met": _met(fates), "exchanges": _total(fates),
            "refused": sum(fate.refused for fate in fates),
        }
        for (label, scenario, kind), fates in sorted(groups.items(), key=_by_number)
    ]  # fmt: skip


_UNLABELLED: Final = Label("unlabelled")


#: The name of a series of scenarios, the number of one, and the rest.
_NUMBERED: Final = re.compile(r"([^0-9]*)([0-9]{0,9})(.*)", re.DOTALL)


def _by_number(
    group: tuple[tuple[str, str, str], list[Fate]],
) -> tuple[str, str, int, str, str]:
    """S2 comes before S10, and so it is with whatever else somebody numbers."""
    (label, scenario, kind), _ = group
    parts = _NUMBERED.match(scenario)
    series, number, rest = parts.groups() if parts else (scenario, "", "")
    return label, series, int(number or 0), rest, kind


def _contained(fates: Iterable[Fate]) -> int:
    return sum(fate.contained for fate in fates)


def _met(fates: Iterable[Fate]) -> int:
    return sum(fate.refused > 0 for fate in fates)


def _total(fates: Iterable[Fate]) -> int:
    return sum(fate.exchanges for fate in fates)


def _share(k: int, n: int) -> dict[str, Any]:
    return {"k": k, "n": n, "share": k / n if n else None, "ci95": wilson(k, n)}
