"""Globs over paths and model names, without regular expressions: no input makes them slow."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def path_matcher(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Whether a canonical path matches any pattern.

    `*` stands for any characters within one segment (at least one when it is the whole segment),
    `**` as a segment for any number of segments, none included: `/admin/**` is `/admin` and
    everything below, `/admin` only itself. Neither case nor a trailing slash is significant: some
    upstreams serve `/ADMIN` as `/admin`, and a rule that refuses the one must refuse the other.
    """
    patterns = [pattern.casefold() for pattern in patterns]
    exact = frozenset(_bare(p) for p in patterns if "*" not in p)
    trees = [_bare(p)[:-3] for p in patterns if p.endswith("/**") and "*" not in p[:-3]]
    below = tuple(f"{tree}/" for tree in trees)
    exact |= frozenset(tree or "/" for tree in trees)
    rest = [
        tuple(_bare(p).split("/")[1:])
        for p in patterns
        if "*" in p and not (p.endswith("/**") and "*" not in p[:-3])
    ]

    def match(path: str) -> bool:
        path = path.casefold()
        if path in exact or path.startswith(below):
            return True
        bare = _bare(path)
        if bare in exact:
            return True
        if rest:
            segments = bare.split("/")[1:]
            return any(_segments(pattern, segments) for pattern in rest)
        return False

    return match


def _bare(path: str) -> str:
    return path[:-1] if len(path) > 1 and path.endswith("/") else path


def _segments(pattern: Sequence[str], segments: Sequence[str]) -> bool:
    """Greedy: only the last `**` is tried again, so at most len(pattern) x len(segments) steps."""
    p = s = 0
    star, resume = -1, 0
    while s < len(segments):
        if p < len(pattern) and pattern[p] == "**":
            star, resume = p, s
            p += 1
        elif p < len(pattern) and _segment(pattern[p], segments[s]):
            p += 1
            s += 1
        elif star >= 0:
            resume += 1
            p, s = star + 1, resume
        else:
            return False
    return all(part == "**" for part in pattern[p:])


def _segment(pattern: str, text: str) -> bool:
    if pattern == "*":
        return text != ""
    return pattern == text if "*" not in pattern else wild(pattern, text)


def wild(pattern: str, text: str) -> bool:
    """Whether `text` matches `pattern`, in which `*` stands for any characters."""
    parts = pattern.split("*")
    if len(parts) == 1:
        return pattern == text
    head, tail = parts[0], parts[-1]
    if len(text) < len(head) + len(tail) or not text.startswith(head) or not text.endswith(tail):
        return False
    at, end = len(head), len(text) - len(tail)
    for part in parts[1:-1]:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def model_matcher(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Whether a model name matches any pattern.

    Case and white space around the name are ignored, because some upstreams ignore them.
    """
    folded = [pattern.strip().casefold() for pattern in patterns]
    exact = frozenset(p for p in folded if "*" not in p)
    rest = [p for p in folded if "*" in p]

    def match(model: str) -> bool:
        name = model.strip().casefold()
        return name in exact or any(wild(pattern, name) for pattern in rest)

    return match
