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
_PIECES: Final = "what is not taken for one whole event at once is read as one cut anywhere, alike"

_IN_RUNS: Final = (
    "def _in_runs(text: bytes, mask: bytes, decode: Callable[[bytes], str], lines: int = 0) "
    "-> list[str]:"
)

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
        "if cap is not None and (type(cap) is not int or not 0 < cap < MOST_TOKENS):",
        (
            "if cap is not None and (type(cap) is not int or not 1 < cap < MOST_TOKENS):",
            "if cap is not None and (type(cap) is not int or not 0 < cap <= MOST_TOKENS):",
        ),
        "`bound` reads a count of 1, and of the most there are, as that",
    ),
    Equivalent(
        "core/usage.py",
        "if events == self._next_sample:",
        ("if events <= self._next_sample:", "if events >= self._next_sample:"),
        "`_sample` looks at the number again",
    ),
    Equivalent(
        "core/usage_pieces.py",
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
    Equivalent(
        "core/usage.py",
        "if at != end and at >= 0:",
        (
            "if at … end and at >= 0:",
            "if not at != end and at >= 0:",
            "if at != end and at >= …:",
        ),
        _PIECES,
    ),
    Equivalent(
        "core/usage.py",
        "if at != end or end < 0:",
        ("if at != end or end < 1:", "if at != end or end <= 0:", "if at != end or end != 0:"),
        _PIECES,
    ),
    Equivalent(
        "core/usage.py",
        'at = chunk.find(b"\\n", at + 1)',
        (
            'at = chunk.find(b"\\n", at + 0)',
            *(
                f'at = chunk.find(b"\\n", at {sign} 1)'
                for sign in ("-", "*", "//", "%", "**", ">>", "|", "&", "^")
            ),
        ),
        _PIECES,
    ),
    Equivalent(
        "core/usage.py",
        'if not (end - 1 <= at <= end + 1 and chunk.endswith(b"\\n\\r\\n")):',
        (
            'if not (end - 1 < at <= end + 1 and chunk.endswith(b"\\n\\r\\n")):',
            'if not (end - 0 <= at <= end + 1 and chunk.endswith(b"\\n\\r\\n")):',
            'if not (end - 1 <= at <= end + 0 and chunk.endswith(b"\\n\\r\\n")):',
            'if not (end - 1 <= at <= end + 2 and chunk.endswith(b"\\n\\r\\n")):',
            'if not (end - 1 <= at != end + 1 and chunk.endswith(b"\\n\\r\\n")):',
            'if not (end - 1 <= at < end + 1 and chunk.endswith(b"\\n\\r\\n")):',
            'if not (end - 1 <= at <= end & 1 and chunk.endswith(b"\\n\\r\\n")):',
            'if not (end - 1 <= at <= end | 1 and chunk.endswith(b"\\n\\r\\n")):',
        ),
        _PIECES,
    ),
    Equivalent(
        "core/usage.py",
        'elif chunk[-1:] != b"\\n":',
        (
            'elif chunk[-1:] >= b"\\n":',
            'elif chunk[1:] != b"\\n":',
            'elif chunk[-0:] != b"\\n":',
        ),
        _PIECES,
    ),
    Equivalent(
        "core/usage.py",
        "end = len(chunk) - 2",
        ("end = len(chunk) << 2", "end = len(chunk) + 2", "end = len(chunk) * 2"),
        _PIECES,
    ),
    Equivalent(
        "core/usage.py",
        "if not chunk.startswith(_NULLS, at + 6):",
        ("if not chunk.startswith(_NULLS, at + 5):", "if not chunk.startswith(_NULLS, at + 7):"),
        _SOONER,
    ),
    Equivalent(
        "core/usage.py",
        "_NEVER: Final = 1 << 62",
        ("_NEVER: Final = …",),
        "it was the number of an event that is past, or is that of none there will ever be",
    ),
    Equivalent(
        "core/usage.py",
        "if self._events > self._next_sample:",
        ("if self._events >= self._next_sample:", "if self._events != self._next_sample:"),
        "`_sample` looks at the number again",
    ),
    Equivalent(
        "core/usage.py",
        "self._next_sample = number + step if len(samples) < _SAMPLES else _NEVER",
        (
            "self._next_sample = number + step if len(samples) != _SAMPLES else _NEVER",
            "self._next_sample = number + step if len(samples) is not _SAMPLES else _NEVER",
        ),
        "they come one by one, and none after the last",
    ),
    Equivalent(
        "core/usage_estimate.py",
        "if rest > 0 and speaking:",
        ("if rest >= 0 and speaking:",),
        "where no event is left, no byte is",
    ),
    Equivalent(
        "core/usage.py",
        "start = max(0, len(carry) - 3)",
        ("start = max(0, len(carry) - 2)", "start = max(0, len(carry) - 4)"),
        "of a mark of three bytes, two at most came before",
    ),
    Equivalent(
        "core/usage_pieces.py",
        "if 0 <= crlf < start:",
        ("if -1 <= crlf < start:",),
        "what is nowhere is looked for again, and is nowhere",
    ),
    Equivalent(
        "core/wrapped.py",
        "return read > len(sample) - 4",
        (
            "return read >= len(sample) - 4",
            "return read != len(sample) - 4",
            "return read > len(sample) - 5",
        ),
        "of a character that is cut three bytes at most are there",
    ),
    Equivalent(
        "core/wrapped.py",
        '(b"%" in plain and _PERCENT.search(plain) is not None)',
        ('(b"%" in plain or _PERCENT.search(plain) is not None)',),
        "what means nothing undone is left as it is, and is no text of its own",
    ),
    Equivalent(
        "core/wrapped.py",
        'or (b"\\\\" in plain and _BACKSLASH.search(plain) is not None)',
        ('or (b"\\\\" in plain or _BACKSLASH.search(plain) is not None)',),
        "what means nothing undone is left as it is, and is no text of its own",
    ),
    Equivalent(
        "core/wrapped.py",
        'or (b"&" in plain and _ENTITY.search(plain) is not None)',
        ('or (b"&" in plain or _ENTITY.search(plain) is not None)',),
        "what means nothing undone is left as it is, and is no text of its own",
    ),
    Equivalent(
        "core/wrapped.py",
        "return mask.rfind(_RUN) >= 0",
        ("return mask.rfind(_RUN) >= -1",),
        "where there is no run, none is found",
    ),
    Equivalent(
        "core/client_ip.py",
        "at = 0",
        ("at = -1",),
        "a search from before the beginning begins there",
    ),
    Equivalent(
        "core/client_ip.py",
        'elif text.count(":") == 1:',
        ('elif text.count(":") >= 1:', 'elif text.count(":") != 0:'),
        "what goes on after a port is no port",
    ),
    Equivalent(
        "core/body.py",
        "if unchanged and (_opens_few(body) or _colons(document) >= 0):",
        ("if unchanged and (_opens_few(body) and _colons(document) >= 0):",),
        _SOONER,
    ),
    Equivalent(
        "core/assess.py",
        "@property",
        ("def detector(self) -> Detector: ...",),
        "a protocol is for types: nobody asks it for its members",
    ),
    Equivalent(
        "core/assess.py",
        "",
        ("def weight(self) -> float: ...",),
        "a protocol is for types: nobody asks it for its members",
    ),
    Equivalent(
        "core/globs.py",
        'trees = [_bare(p)[:-3] for p in patterns if p.endswith("/**") and "*" not in p[:-3]]',
        ('trees = [_bare(p)[:-3] for p in patterns if p.endswith("/**") and "*" not in …',),
        "what a pattern says itself it matches, too",
    ),
    Equivalent(
        "stores/memory.py",
        "best, least, owed = buckets[0], math.inf, 0.0",
        (
            "best, least, owed = buckets[ -1], math.inf, 0.0",
            "best, least, owed = buckets[1], math.inf, 0.0",
            "best, least, owed = buckets[0], math.inf, …",
        ),
        "the first that is drawn takes its place",
    ),
    Equivalent(
        "core/account.py",
        'other.kind == "header" and other.header == source.header for other in identify.accounts',
        ('other.kind <= "header" and other.header == source.header for …',),
        _ENUMERATED,
    ),
    Equivalent(
        "core/rules.py",
        'ordered = sorted(conditions, key=lambda condition: condition.field != "risk")',
        ('ordered = sorted(conditions, key=lambda condition: condition.field … "risk")',),
        "tests are pure and total, so their order changes no judgement",
    ),
    Equivalent(
        "core/prepared.py",
        "MOST_REMEMBERED: Final = 4096",
        ("MOST_REMEMBERED: Final = 4095", "MOST_REMEMBERED: Final = 4097"),
        _REMEMBERED,
    ),
    Equivalent(
        "core/folding.py",
        "(0x12000, 0x13430),",
        ("(73727, 0x13430),",),
        _LEFT_OUT,
    ),
    Equivalent(
        "core/folding.py",
        "for run, piece in zip(runs, pieces[1:], strict=True):",
        ("for run, piece in zip(runs, pieces[1:], strict=False):",),
        "there is a mark for each run, and no other",
    ),
    Equivalent(
        "core/decide.py",
        'return choice == "deny" or (choice == "local" and not grants)',
        ('return choice == "deny" or (choice >= "local" and not grants)',),
        _ENUMERATED,
    ),
    Equivalent(
        "core/usage_events.py",
        'name = text[at + 6 : start].rstrip(b" :\\r\\n\\t") if start >= 0 else b""',
        ('name = text[at + 6 : start].rstrip(b" :\\r\\n\\t") if start >= -1 else b""',),
        "from the last character on there is no object",
    ),
    Equivalent(
        "core/usage.py",
        "cut = lf + 2 if lf > crlf else crlf + 3",
        ("cut = lf + 2 if lf >= crlf else crlf + 3",),
        "they are the same only where neither is there",
    ),
    Equivalent(
        "stores/memory.py",
        "if elapsed > 0.0:",
        ("if elapsed >= 0.0:",),
        "in no time nothing drains",
    ),
    Equivalent(
        "stores/memory.py",
        "if share <= 0.0:",
        ("if share == 0.0:",),
        "which of those that owe nothing makes room makes no difference",
    ),
    Equivalent(
        "stores/memory.py",
        "count = self._flying.get(key, 0)",
        ("count = self._flying.get(key, -1)",),
        "fewer than one is none",
    ),
    Equivalent(
        "stores/memory.py",
        "self._seed = secrets.randbits(64) if seed is None else seed",
        (
            "self._seed = secrets.randbits(63) if seed is None else seed",
            "self._seed = secrets.randbits(65) if seed is None else seed",
        ),
        "any number nobody knows will do",
    ),
    Equivalent(
        "stores/memory.py",
        "_CELLS: Final = 65_536",
        ("_CELLS: Final = 65535", "_CELLS: Final = 65537"),
        "whose debts share a cell is chance",
    ),
    Equivalent(
        "stores/memory.py",
        "self._put(charge, level if level > 0.0 else 0.0, now)",
        ("self._put(charge, level if level >= 0.0 else 0.0, now)",),
        "either way it is 0",
    ),
    Equivalent(
        "stores/memory.py",
        "bucket.used = level if level > 0.0 else 0.0",
        ("bucket.used = level if level >= 0.0 else 0.0",),
        "either way it is 0",
    ),
    Equivalent(
        "stores/memory.py",
        "remaining=left if left > 0.0 else 0.0,",
        ("remaining=left if left >= 0.0 else 0.0,",),
        "either way it is 0",
    ),
    Equivalent(
        "core/buckets.py",
        "return left if left > 0.0 else 0.0",
        ("return left if left >= 0.0 else 0.0",),
        "either way it is 0",
    ),
    Equivalent(
        "core/buckets.py",
        "self.used = level if level > 0.0 else 0.0",
        ("self.used = level if level >= 0.0 else 0.0",),
        "either way it is 0",
    ),
    Equivalent(
        "core/wrapped.py",
        "if lines and len(run) < _LONGEST:",
        ("if lines and len(run) <= _LONGEST:", "if lines and len(run) != _LONGEST:"),
        "with a run as long as may be, the loop below does not begin",
    ),
    Equivalent(
        "core/wrapped.py",
        "0x78 if _HEX[byte] == 0x78 or byte in _BETWEEN_DIGITS else 0x20 for byte in range(256)",
        (
            "0x78 if _HEX[byte] <= 0x78 or …",
            "0x78 if _HEX[byte] >= 0x78 or …",
        ),
        _SOONER,
    ),
    Equivalent(
        "core/wrapped.py",
        "if _is_text(_base64(run[shift : shift + _SAMPLE])):",
        (
            "if _is_text(_base64(run[shift : shift | _SAMPLE])):",
            "if _is_text(_base64(run[shift : shift ^ _SAMPLE])):",
        ),
        "numbers below 4 have no bit in common with 64",
    ),
    Equivalent(
        "core/wrapped.py",
        "if _is_text(_hex(run[shift : shift + _SAMPLE])):",
        (
            "if _is_text(_hex(run[shift : shift | _SAMPLE])):",
            "if _is_text(_hex(run[shift : shift ^ _SAMPLE])):",
        ),
        "numbers below 2 have no bit in common with 64",
    ),
    Equivalent(
        "core/wrapped.py",
        "_SAMPLE: Final = 64",
        ("_SAMPLE: Final = 65",),
        "one digit more is none of a byte",
    ),
    Equivalent(
        "core/wrapped.py",
        "0x78 if _HEX[byte] == 0x78 or byte in _BETWEEN_DIGITS else 0x20 for byte in range(256)",
        ("0x78 if _HEX[byte] == 0x78 or byte in _BETWEEN_DIGITS else … for byte in range(256)",),
        "only runs of the other letter are looked for",
    ),
    Equivalent(
        "core/wrapped.py",
        "if end < 0:",
        ("if end <= 0:",),
        "a run ends behind its beginning",
    ),
    Equivalent(
        "core/wrapped.py",
        _IN_RUNS,
        (_IN_RUNS.replace("= 0", "= 1"),),
        "of hex the line feeds are taken out before",
    ),
    Equivalent(
        "core/texts.py",
        "if len(items) > _LONG_LIST and _TEXTLESS.issuperset(map(type, items)):",
        ("if not len(items) > _LONG_LIST and _TEXTLESS.issuperset(map(type, items)):",),
        "in a list without texts and lists none is found either",
    ),
    Equivalent(
        "core/texts.py",
        "len(item) > _LONG_LIST and _TEXTLESS.issuperset(map(type, item))",
        ("not len(item) > _LONG_LIST and _TEXTLESS.issuperset(map(type, item))",),
        "in a list without texts and lists none is found either",
    ),
    Equivalent(
        "core/wrapped.py",
        "break",
        ("continue",),
        _SOONER,
    ),
    Equivalent(
        "core/profile.py",
        "weight = SMOOTHING if seen >= 15 else 1.0 / (seen + 1)",
        (
            "weight = SMOOTHING if seen >= 16 else 1.0 / (seen + 1)",
            "weight = SMOOTHING if seen > 15 else 1.0 / (seen + 1)",
        ),
        "the sixteenth weighs a sixteenth either way",
    ),
    Equivalent(
        "core/profile.py",
        "if prompt.elicitation or prompt.n > 1 or prompt.logprobs:",
        ("if prompt.elicitation or prompt.n > 0 or prompt.logprobs:",),
        "one answer without anything else elicits nothing, by `strength`, too",
    ),
    Equivalent(
        "core/profile.py",
        "_EVERY_FOURTH: Final = 3 << 50",
        ("_EVERY_FOURTH: Final = 3 << 49", "_EVERY_FOURTH: Final = 3 << 51"),
        "any two bits of a digest will do that choose neither place nor tag",
    ),
    Equivalent(
        "core/profile.py",
        "_visit(visited, 0, country_key(before), profile.placed)",
        ("_visit(visited, 1, country_key(before), profile.placed)",),
        "in an empty table any place will do",
    ),
    Equivalent(
        "core/profile.py",
        "tag = one >> 32 & 255 or 1",
        (
            "tag = one >> 32 & 255 or 2",
            "tag = one >> 32 & 254 or 1",
            "tag = one >> 33 & 255 or 1",
            "tag = one >> 31 & 255 or 1",
            "tag = one + 32 & 255 or 1",
            "tag = one - 32 & 255 or 1",
        ),
        "any bits of a digest will do that do not choose the place, and for none any number",
    ),
    Equivalent(
        "core/profile.py",
        "where = GAPS_AT + (0 if octave < 0 else octave if octave < GAP_BINS else GAP_BINS - 1)",
        (
            "where = GAPS_AT + (0 if octave < 1 else octave if octave < …",
            "where = GAPS_AT + (0 if octave <= 0 else octave if octave < …",
        ),
        "the octave 0 is 0",
    ),
    Equivalent(
        "core/profile.py",
        "start = FILLINGS_AT + slot * SLOT_BYTES",
        ("start = FILLINGS_AT ^ slot * SLOT_BYTES", "start = FILLINGS_AT | slot * SLOT_BYTES"),
        "512 has no bit in common with what is below",
    ),
    Equivalent(
        "core/profile.py",
        'if role.role == "system":',
        ('if role.role <= "system":',),
        _ENUMERATED,
    ),
    Equivalent(
        "core/profile.py",
        "profile.hours = (profile.hours << passed | 1) & WEEK if passed < 168 else 1",
        (
            "profile.hours = (profile.hours << passed | 1) & WEEK if passed < 169 else 1",
            "profile.hours = (profile.hours << passed | 1) & WEEK if passed <= 168 else 1",
        ),
        "what is shifted out of the week is cut off",
    ),
    Equivalent(
        "core/profile.py",
        'profile.cells = array("H", bytes(2 * CELLS))',
        ('profile.cells = array("H", bytes(3 * CELLS))',),
        "nobody looks at what lies beyond",
    ),
    Equivalent(
        "core/body.py",
        "at = body.find(b'\":') + 2",
        ("at = body.find(b'\":') …",),
        _SOONER,
    ),
    Equivalent(
        "core/body.py",
        "out = stream.decompress(body, limit + 1)",
        ("out = stream.decompress(body, limit + 2)",),
        "by how much it is too large makes no difference",
    ),
    Equivalent(
        "core/body.py",
        "out = stream.process(body, output_buffer_limit=limit + 1)",
        ("out = stream.process(body, output_buffer_limit=limit + 2)",),
        "by how much it is too large makes no difference",
    ),
    Equivalent(
        "core/body.py",
        "out = reader.read(limit + 1)",
        ("out = reader.read(limit + 2)",),
        "by how much it is too large makes no difference",
    ),
    Equivalent(
        "core/texts.py",
        "if joined.count(SEPARATOR) >= len(short) > 0:",
        ("if joined.count(SEPARATOR) >= len(short) != 0:",),
        "of nothing there are no fewer than none",
    ),
    Equivalent(
        "core/texts.py",
        "if max(map(len, pieces)) <= 2 * reach:",
        ("if not max(map(len, pieces)) <= 2 * reach:",),
        _SOONER,
    ),
    Equivalent(
        "core/texts.py",
        'piece if len(piece) <= 2 * reach else b"%b\\n%b" % (piece[:reach], piece[-reach:])',
        ('piece if len(piece) <= 2 * reach else b"%b\\n%b" % (piece[:reach], piece[not reach:])',),
        _SOONER,
    ),
)
