"""Globs match what a regular expression of the same meaning matches."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway_guard.core.globs import model_matcher, path_matcher, wild

#: Few letters, so that much matches and nearly matches.
TEXTS = st.text("ab", max_size=8)
PATTERNS = st.text("ab*", max_size=7)
SEGMENTS = st.lists(st.sampled_from(["a", "b", "ab", "*", "a*", "*b", "a*b", "**"]), max_size=5)
PARTS = st.lists(st.sampled_from(["a", "b", "ab", "aab", "ba", ""]), max_size=6)


@given(pattern=PATTERNS, text=TEXTS)
@example(pattern="a*b*c", text="axbxc")
@example(pattern="a*x*c", text="abc")
@example(pattern="ab*ba", text="aba")
@example(pattern="*ab*ab*", text="abab")
@example(pattern="*aba*ba*", text="ababa")
@example(pattern="a*b*b", text="ab")
def test_a_star_is_any_characters(pattern: str, text: str) -> None:
    meaning = ".*".join(re.escape(part) for part in pattern.split("*"))

    assert wild(pattern, text) is (re.fullmatch(meaning, text) is not None)


@given(segments=SEGMENTS, parts=PARTS)
@example(segments=["**", "a", "**", "b"], parts=["b", "a", "a", "b"])
@example(segments=["a", "**", "b"], parts=["a", "b"])
@example(segments=["**", "a", "b"], parts=["a", "a", "b"])
@example(segments=["a", "*"], parts=["a", ""])
@example(segments=["**", "**"], parts=[])
@example(segments=["a", "**"], parts=["a"])
def test_a_path_matches_segment_by_segment(segments: list[str], parts: list[str]) -> None:
    path = "/" + "/".join(parts)
    bare = path[:-1] if len(path) > 1 and path.endswith("/") else path
    pieces = bare.split("/")[1:]
    named = segments or [""]

    assert path_matcher(["/" + "/".join(segments)])(path) is _matches(tuple(named), tuple(pieces))


def _matches(pattern: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    """By trying everything."""
    if not pattern:
        return not parts
    first, *rest = pattern
    if first == "**":
        return any(_matches(tuple(rest), parts[n:]) for n in range(len(parts) + 1))
    if not parts:
        return False
    if first == "*":
        fits = parts[0] != ""
    else:
        fits = re.fullmatch(".*".join(map(re.escape, first.split("*"))), parts[0]) is not None
    return fits and _matches(tuple(rest), parts[1:])


@pytest.mark.parametrize(
    ("patterns", "path", "matches"),
    [
        (["/admin/**"], "/admin", True),
        (["/admin/**"], "/admin/", True),
        (["/admin/**"], "/ADMIN/users/7", True),
        (["/admin/**"], "/administrator", False),
        (["/admin"], "/admin/users", False),
        (["/admin/"], "/admin", True),
        (["/Admin"], "/aDMIN/", True),
        (["/**"], "/", True),
        (["/**"], "/a/b", True),
        (["/"], "/", True),
        (["/"], "/a", False),
        (["/v1/*/**"], "/v1", False),
        (["/v1/*/**"], "/v1/a", True),
        (["/v1/*/**"], "/v1/a/b/c", True),
        (["/v1/*"], "/v1/", False),
        (["/v1/m*/x"], "/v1/models/x", True),
        (["/a", "/b/*"], "/b/c", True),
        (["/a", "/b/*"], "/c", False),
        ([], "/", False),
    ],
)
def test_paths_match_as_the_manual_says(patterns: list[str], path: str, matches: bool) -> None:
    assert path_matcher(patterns)(path) is matches


@pytest.mark.parametrize(
    ("patterns", "model", "matches"),
    [
        (["apex-*"], " APEX-4 ", True),
        (["apex-4"], "Apex-4", True),
        (["apex-4"], "apex-40", False),
        (["*-mini", "o1"], "x-mini", True),
        (["*-mini", "o1"], "o1", True),
        (["*-mini", "o1"], "mini", False),
        ([" Apex* "], "apex", True),
        ([], "", False),
    ],
)
def test_models_match_whatever_their_case_and_space(
    patterns: list[str], model: str, matches: bool
) -> None:
    assert model_matcher(patterns)(model) is matches
