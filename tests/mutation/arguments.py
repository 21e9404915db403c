"""Changes that nothing outside can notice, each with the reason. They are tried all the same: one
that a test notices is not equivalent, and its entry is wrong.

What only costs time or memory is among them where the answer stays the same by construction. A
bound that is hard to reach is not: nobody has noticed is no reason.
"""

from __future__ import annotations

from typing import Final

from tests.mutation.equivalent import Equivalent

_REMEMBERED: Final = "how many answers are remembered changes none of them"
_LEFT_OUT: Final = "it folds to itself, whether it is looked at or left out"
_ENUMERATED: Final = "of the values there are, no other satisfies the comparison"
_SOONER: Final = "the way taken otherwise gives the same answer later"

TABLE: Final = (
    Equivalent(
        "core/paths.py",
        "if byte < 0x20 or byte == 0x7F or byte in _NEVER_ESCAPED:",
        (
            "if byte < 0x20 and byte == 0x7F or byte in _NEVER_ESCAPED:",
            "if byte < … or byte == 0x7F or byte in _NEVER_ESCAPED:",
        ),
        "control characters are not printable, and a path with one is refused below",
    ),
    Equivalent(
        "core/client_ip.py",
        'if address is None and "%" in peer:',
        ('if address is None or "%" in peer:',),
        "no address has a zone, and what has none is the same without",
    ),
    Equivalent(
        "core/client_ip.py",
        "self.covers: Callable[[str], bool] = functools.lru_cache(maxsize=1024)(self._covers)",
        ("self.covers: Callable[[str], bool] = functools.lru_cache(maxsize=…)(self._covers)",),
        _REMEMBERED,
    ),
    Equivalent(
        "core/tokens.py",
        'if name == "exp" and at - LEEWAY >= moment:',
        ('if name <= "exp" and at - LEEWAY >= moment:',),
        _ENUMERATED,
    ),
    Equivalent(
        "core/tokens.py",
        'if name == "nbf" and at + LEEWAY < moment:',
        ('if name >= "nbf" and at + LEEWAY < moment:',),
        _ENUMERATED,
    ),
    Equivalent(
        "core/prepared.py",
        'if source.kind == "state" or not source.header.startswith("x-guard-")',
        ('if source.kind >= "state" or not source.header.startswith("x-guard-")',),
        _ENUMERATED,
    ),
    Equivalent(
        "core/breaker.py",
        "if self.state is State.CLOSED:",
        ("if self.state <= State.CLOSED:",),
        _ENUMERATED,
    ),
    Equivalent(
        "core/buckets.py",
        "return capacity > 0.0 and "
        "level + taken(charge) <= capacity + ROUNDING + charge.rate * TICK",
        ("return capacity != 0.0 and …",),
        "no capacity is less than 0",
    ),
    Equivalent(
        "core/charging.py",
        "(kept.account is not facts.account and kept.account != facts.account)",
        (
            "(kept.account is not facts.account or kept.account != facts.account)",
            "(kept.account is not facts.account and kept.account is not facts.account)",
        ),
        "what is kept is what would be reckoned anew",
    ),
    Equivalent(
        "core/prompt.py",
        "if type(cap) is not int or not 0 <= cap < MOST_TOKENS:",
        (
            "if type(cap) is not int or not 1 <= cap < MOST_TOKENS:",
            "if type(cap) is not int or not 0 < cap < MOST_TOKENS:",
            "if type(cap) is not int or not 0 <= cap <= MOST_TOKENS:",
        ),
        "`whole` reads a count of 0, and of the most there are, as that",
    ),
    Equivalent(
        "core/usage.py",
        "if events == self._next_sample:",
        ("if events <= self._next_sample:", "if events >= self._next_sample:"),
        "`_sample` looks at the number again",
    ),
    Equivalent(
        "core/usage.py",
        "if 0 <= lf < start:",
        ("if 0 <= lf != start:", "if 0 <= lf <= start:"),
        "looked for again from there, the mark is found where it was",
    ),
    Equivalent(
        "core/usage.py",
        "if 0 <= crlf < start:",
        ("if 0 <= crlf != start:", "if 0 <= crlf <= start:"),
        "looked for again from there, the mark is found where it was",
    ),
    Equivalent(
        "core/texts.py",
        "if len(items) > _LONG_LIST and _TEXTLESS.issuperset(map(type, items)):",
        ("if len(items) … _LONG_LIST and _TEXTLESS.issuperset(map(type, items)):",),
        "in a list without texts and lists none is found either",
    ),
    Equivalent(
        "core/texts.py",
        "len(item) > _LONG_LIST and _TEXTLESS.issuperset(map(type, item))",
        ("len(item) … _LONG_LIST and _TEXTLESS.issuperset(map(type, item))",),
        "in a list without texts and lists none is found either",
    ),
    Equivalent(
        "core/texts.py",
        "_LONG_LIST: Final = 64",
        ("_LONG_LIST: Final = …",),
        "in a list without texts and lists none is found either",
    ),
    Equivalent(
        "core/texts.py",
        'piece if len(piece) <= 2 * reach else b"%b\\n%b" % (piece[:reach], piece[-reach:])',
        (
            'piece if len(piece) <= 1 * reach else b"%b\\n%b" % (piece[:reach], piece[-reach:])',
            'piece if len(piece) <= 3 * reach else b"%b\\n%b" % (piece[:reach], piece[-reach:])',
            'piece if len(piece) < 2 * reach else b"%b\\n%b" % (piece[:reach], piece[-reach:])',
        ),
        "no phrase is longer than the reach, and both ends of that length stay whole",
    ),
    Equivalent(
        "core/texts.py",
        "if max(map(len, pieces)) <= 2 * reach:",
        ("if max(map(len, pieces)) … 2 * reach:", "if max(map(len, pieces)) <= … * reach:"),
        _SOONER,
    ),
    Equivalent(
        "core/phrases.py",
        "start, size = 0, _BLOCK",
        ("start, size = -1, _BLOCK",),
        "blocks may end anywhere: each begins before the end of the last one by a phrase's length",
    ),
    Equivalent(
        "core/globs.py",
        'if "*" in p and not (p.endswith("/**") and "*" not in p[:-3])',
        ('if "*" in p and not (p.endswith("/**") and "*" not in p[:-2])',),
        "the character more is the slash",
    ),
    Equivalent(
        "core/wrapped.py",
        "if lines and len(run) < _LONGEST:",
        ("if lines or len(run) < _LONGEST:",),
        "without lines, or with a run as long as may be, the loop below does not begin",
    ),
    Equivalent(
        "core/folding.py",
        "for run in _RUNS:",
        ("for run in []:",),
        "the loop below takes what is left of runs in pairs",
    ),
    Equivalent(
        "core/folding.py",
        '_RUNS: Final = (b" " * 64, b" " * 8)',
        ('_RUNS: Final = (b" " * …, b" " * 8)', '_RUNS: Final = (b" " * 64, b" " * …)'),
        "the loop after them takes what is left of runs in pairs",
    ),
    Equivalent(
        "core/folding.py",
        "folded = _western(text) if len(raw) - len(text) <= len(text) * 3 >> 3 else None",
        ("folded = _western(text) if len(raw) - len(text) …",),
        "both ways fold alike; which is tried first is a matter of time",
    ),
    Equivalent("core/folding.py", "(0x3400, 0xA490),", ("(13313, 0xA490),",), _LEFT_OUT),
    Equivalent("core/folding.py", "(0xD7FC, 0xF900),", ("(55293, 0xF900),",), _LEFT_OUT),
    Equivalent("core/folding.py", "(0x12000, 0x13430),", ("(73729, 0x13430),",), _LEFT_OUT),
    Equivalent("core/folding.py", "(0x17000, 0x1BC00),", ("(94209, 0x1BC00),",), _LEFT_OUT),
    Equivalent(
        "stores/memory.py",
        "_MASK: Final = _SHARDS - 1",
        (
            "_MASK: Final = _SHARDS & 1",
            "_MASK: Final = _SHARDS % 1",
            "_MASK: Final = _SHARDS >> 1",
            "_MASK: Final = _SHARDS - 2",
        ),
        "a key is looked for in the shard it was put into, whichever that is",
    ),
    Equivalent(
        "stores/memory.py",
        "_SHARDS: Final = 64",
        ("_SHARDS: Final = 65", "_SHARDS: Final = 63"),
        "a key is looked for in the shard it was put into, whichever that is",
    ),
    Equivalent(
        "core/gradient.py",
        "self._at_floor = self._at_floor + 1 if self.bound <= self.setting.floor else 0",
        ("self._at_floor = self._at_floor + 1 if self.bound == self.setting.floor else 0",),
        "no bound is below its floor",
    ),
    Equivalent(
        "core/usage.py",
        "if at != end and at >= 0:",
        ("if at != end or at >= 0:",),
        _SOONER,
    ),
    Equivalent(
        "core/shapes.py",
        '(colon < 0 or window.find(b":", colon + 1) < 0)',
        ('(colon < 0 or window.find(b":", colon …) < 0)',),
        _SOONER,
    ),
    Equivalent(
        "core/globs.py",
        'if p < len(pattern) and pattern[p] == "**":',
        ('if p != len(pattern) and pattern[p] == "**":',),
        "no place is beyond the end",
    ),
    Equivalent(
        "core/globs.py",
        "elif p < len(pattern) and _segment(pattern[p], segments[s]):",
        ("elif p != len(pattern) and _segment(pattern[p], segments[s]):",),
        "no place is beyond the end",
    ),
    Equivalent(
        "stores/memory.py",
        "level > capacity + ROUNDING + rate * TICK or capacity <= 0.0",
        ("level > capacity + ROUNDING + rate * TICK or capacity == 0.0",),
        "no capacity is less than 0",
    ),
    Equivalent(
        "core/limits.py",
        "estimated = True",
        ("estimated = False",),
        "it is reckoned again, and is the same",
    ),
    Equivalent(
        "core/links.py",
        "LONGEST: Final = 256",
        ("LONGEST: Final = 255", "LONGEST: Final = 257"),
        "the longest token there is has 158 characters, and longer ones are refused by their size",
    ),
    Equivalent(
        "core/buckets.py",
        "for level, charge, allowed in zip(levels, charges, room, strict=True):",
        ("for level, charge, allowed in zip(levels, charges, room, strict=False):",),
        "both lists were made of the charges",
    ),
    Equivalent(
        "core/forms.py",
        'pieces = body.split(b"--" + (declared[1] or declared[2]), MOST_PARTS + 2)',
        ('pieces = body.split(b"--" + (declared[1] or declared[2]), MOST_PARTS | 2)',),
        "64 has no bit in common with 2",
    ),
    Equivalent(
        "core/address.py",
        'high = int.from_bytes(packed[12:14], "big")',
        ('high = int.from_bytes(packed[11:14], "big")',),
        "the octets before are 0 here",
    ),
    Equivalent(
        "core/folding.py",
        "if not isinstance(error, UnicodeEncodeError) or type(error.object) is not _Marked:",
        ("if isinstance(error, UnicodeEncodeError) or type(error.object) is not _Marked:",),
        "where nothing is set aside, text is folded the other way, alike",
    ),
    Equivalent(
        "core/body.py",
        'unchanged = body[at : at + 1] != b" " and _encode(document) == body',
        ('unchanged = body[at : at + 1] … b" " and _encode(document) == body',),
        _SOONER,
    ),
    Equivalent(
        "core/usage.py",
        "if at != end and at >= 0:",
        ("if at != end and at … 0:",),
        _SOONER,
    ),
    Equivalent(
        "core/phrases.py",
        "_DECOYS: Final = tuple(bytes((byte, 1)) for byte in range(0x20, 0x7F))",
        ("_DECOYS: Final = tuple(bytes((byte, …)) for byte in range(…, …))",),
        "decoys hold a control character, which folded text has not",
    ),
    Equivalent(
        "core/globs.py",
        'if "*" in p and not (p.endswith("/**") and "*" not in p[:-3])',
        ('if "*" in p or not (p.endswith("/**") and "*" not in p[:-3])',),
        _SOONER,
    ),
    Equivalent(
        "core/identify.py",
        'if repeated or b"content-encoding" in fields:',
        ('if not repeated or b"content-encoding" in fields:',),
        _SOONER,
    ),
    Equivalent(
        "core/charging.py",
        "cost = float(tokens[0] + tokens[1] if counts == 1 else tokens[counts - 2])",
        ("cost = float(tokens[0] + tokens[1] if counts <= 1 else tokens[counts - 2])",),
        "what counts nothing does not come here",
    ),
    Equivalent(
        "core/limits.py",
        "cost = float(tokens[0] + tokens[1] if counts == 1 else tokens[counts - 2])",
        ("cost = float(tokens[0] + tokens[1] if counts <= 1 else tokens[counts - 2])",),
        "what counts nothing does not come here",
    ),
    Equivalent(
        "core/adapt.py",
        "if risk > 0.0 and risk >= held_risk(held, 0.0, now, recover):",
        ("if risk > 0.0 and risk >= held_risk(held, -1.0, now, recover):",),
        "a risk above 0 is at least whatever is left at or below 0",
    ),
    Equivalent(
        "core/usage.py",
        "if at != end or end < 0:",
        ("if at != end or end < -1:",),
        "where both are -1 there is no line feed, which is asked next",
    ),
    Equivalent(
        "core/phrases.py",
        "if not labels <= found",
        ("if not labels is found", "if not labels == found", "if not labels < found"),
        "what is looked for again though it was found is found again: that only takes time",
    ),
    Equivalent(
        "core/folding.py",
        "marked.room = 16 + min(len(text) >> 6, 2048)",
        ("marked.room = …",),
        "both ways fold alike; which is taken is a matter of time",
    ),
    Equivalent(
        "core/assess.py",
        "return Assessment(signals=(signal,), risk=min(1.0, part))",
        ("return Assessment(signals=(signal,), risk=min(2.0, part))",),
        "neither a weight nor a score is above 1",
    ),
    Equivalent(
        "core/credentials.py",
        'if value[:7] == b"Bearer ":',
        ('if value[:8] == b"Bearer ":', 'if value[:6] == b"Bearer ":'),
        _SOONER,
    ),
    Equivalent(
        "core/origin.py",
        "_LONGEST_PEER: Final = 64",
        ("_LONGEST_PEER: Final = …",),
        _REMEMBERED,
    ),
    Equivalent(
        "core/stated.py",
        "repeated = len(fields) != len(headers)",
        ("repeated = len(fields) <= len(headers)",),
        _SOONER,
    ),
    Equivalent(
        "core/body.py",
        "_COUNTED: Final = 16 * 1024",
        ("_COUNTED: Final = …",),
        _SOONER,
    ),
)
