"""Trees on a terminal: folded under themselves, nothing lost."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from gateway_guard.cli.tree import folded, print_tree

TREE = [
    "r_1  POST /v1/messages  acct_k3v…  allow",
    "├ enrich    NL · hosting AS64500 A Rather Long Name Of An Operator · account 30 days old",
    "├ assess    risk 0.60",
    "│ ├ template-sweep  0.90 × 0.6  about 455 fillings of one template in 1 h (floor 50)",
    "│ └ volume-shift    0.35 × 0.4  3.1 × the median hour of this account",
    "├ reserve   requests 1 of 2 left",
    "│           tokens 96,200 of 98,800 left (24.7 % of 400,000 for this account now)",
    "└ act       forwarded unchanged; would restrict: output capped at 512 tokens, no logprobs",
]


@pytest.mark.parametrize(
    ("line", "continuation"),
    [
        (TREE[1], "│           "),
        (TREE[3], "│ │                 "),
        (TREE[4], "│                   "),
        (TREE[6], "│           "),
        (TREE[7], "            "),
    ],
)
def test_what_does_not_fit_goes_on_under_itself(line: str, continuation: str) -> None:
    pieces = folded(line, 48)

    assert len(pieces) > 1
    assert all(piece.startswith(continuation) for piece in pieces[1:])
    assert all(len(piece) <= 48 for piece in pieces)
    assert pieces[1][len(continuation)] != " "


def test_a_pipe_gets_whole_lines_without_colour() -> None:
    out = Console(file=io.StringIO(), width=40, soft_wrap=True)

    print_tree(TREE, out, word="allow", colour="green")

    assert out.file.getvalue().splitlines() == TREE  # type: ignore[attr-defined]


def test_a_terminal_gets_the_action_in_colour_and_folded_lines() -> None:
    out = Console(
        file=io.StringIO(), width=60, force_terminal=True, color_system="standard", _environ={}
    )

    print_tree(TREE, out, word="allow", colour="green")

    text = out.file.getvalue()  # type: ignore[attr-defined]
    assert "32m  allow" in text
    assert len(text.splitlines()) > len(TREE)


@given(
    st.lists(st.text(alphabet="abc.,", min_size=1, max_size=30), min_size=1), st.integers(1, 200)
)
def test_folding_loses_no_word(words: list[str], width: int) -> None:
    line = "├ decide    " + " ".join(words)

    pieces = folded(line, width)

    assert " ".join(pieces).replace("│", " ").split() == line.split()
