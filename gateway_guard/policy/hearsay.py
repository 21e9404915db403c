"""Refusals for no more than that somebody else said so."""

from __future__ import annotations

from typing import Final

from gateway_guard.policy.indicators import Said
from gateway_guard.policy.judgement import FACTS, Read
from gateway_guard.policy.scope import Scope

#: What was known or suspected here, besides what others said.
_EVIDENCE: Final = FACTS - {"indicator"} | {"risk", "signal", "prompt"}


def check_hearsay(scope: Scope, rules: list[Read]) -> None:
    """Refusals for no more than that anybody, however unsure, said so."""
    for read in rules:
        said = read.shapes.get("indicator")
        if (
            read.refuses
            and isinstance(said, Said)
            and said.anybody
            and not _EVIDENCE & read.shapes.keys()
        ):
            scope.found.at(
                "GG505",
                read.node,
                f"'{read.name}' refuses whatever any source names, however unsure",
                hint="name sources or a least confidence, indicator: { source: …, confidence: "
                "{ min: 0.8 } }, or ask for a risk, a signal or a fact besides",
            )
