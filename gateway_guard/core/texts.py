"""Every string of a request body, and the phrases in them however they are split up."""

from __future__ import annotations

from itertools import compress
from typing import Any, Final

from gateway_guard.core.folding import (
    SEPARATOR,
    collapsed,
    fold,
    spaced,
    spaced_apart,
    undressed,
)
from gateway_guard.core.members import Misshapen
from gateway_guard.core.phrases import Phrases
from gateway_guard.core.wrapped import unwrapped

#: Work put into the phrases of one body, in characters of ASCII: 5 ns each. A character of text in
#: other scripts counts as `_FOREIGN`, two blanks in a row as `_BLANKS` more. It lets 1 MiB of
#: anything through, 8 MiB of ASCII, some 3 MB of Chinese. More would hold everybody else up for
#: longer than 50 ms: it is not read, and the policy decides.
MOST_WORK: Final = 17 * 512 * 1024
_FOREIGN: Final = 8
_BLANKS: Final = 4

#: Members whose strings name things; they are not text a model reads as prompt, but for roles that
#: are none: templates write those into the prompt.
_NAMING: Final = frozenset(("role", "type", "model"))
_ROLES: Final = frozenset((
    "user", "assistant", "system", "developer", "tool", "function", "model", "bot", "human", "ai",
    "context", "ipython", "chatbot",
))  # fmt: skip
#: Members whose own members are named by the client, and shown to the model so.
_NAMED_FREELY: Final = frozenset((
    "properties", "patternProperties", "$defs", "definitions", "dependentSchemas",
    "dependentRequired",
))  # fmt: skip
#: The same of what tools are given and answer, and of documents, at any depth.
_FILLED_FREELY: Final = frozenset((
    "arguments", "args", "response", "variables", "input", "json", "data",
))  # fmt: skip
#: Where a document keeps what the model is told before anything else, wherever that stands in it.
FIRST: Final = (
    "system", "instructions", "systemInstruction", "system_instruction", "preamble",
    "system_prompt",
)  # fmt: skip
#: Members through which text gets to the model, whatever the dialect; others only stand by.
_TELLING: Final = frozenset((
    *FIRST, "messages", "contents", "chat_history", "requests", "params", "content", "parts",
    "text", "prompt", "input", "inputs", "message", "suffix", "output",
))  # fmt: skip
#: Types of parts and items whose text is prompt; an upstream may pass over any other.
_TEXTUAL: Final = frozenset(("text", "input_text", "output_text", "message"))
#: How types of those end in which tools answer: prompt, whoever's turn they stand in.
_ANSWERS: Final = ("tool_result", "_call_output")

#: Lists longer than this, members, are looked at for text only if they can have any: embeddings and
#: tokens have none.
_LONG_LIST: Final = 64
_TEXTLESS: Final = frozenset((int, float, bool, type(None)))
_HOLDING: Final = frozenset((str, dict, list))

#: What a string is to the model, as bits: part of the prompt, and in the user's own turns.
_ASIDE: Final = 0
_TOLD: Final = 1
_USERS: Final = 2


def texts_and_files(value: Any) -> tuple[list[str], int]:
    """Every string inside `value`, in document order, but for roles, types, the model and files;
    and how many files there are.

    A file is what stands where files do and is no text: a data URL, or long base64.
    """
    found: list[str] = []
    files = 0
    stack: list[Any] = [value]
    while stack:
        item = stack.pop()
        kind = type(item)
        if kind is str:
            found.append(item)
        elif kind is dict:
            if not _FILED.isdisjoint(item):
                item, more = _without_files(item)
                files += more
            stack.extend([
                inner for key, inner in reversed(item.items())
                if type(inner) in _HOLDING and key not in _NAMING
            ])  # fmt: skip
        elif kind is list and not (
            len(item) > _LONG_LIST and _TEXTLESS.issuperset(map(type, item))
        ):
            stack.extend(reversed(item))
    return found, files


#: Members that hold files, whatever the dialect. What stands elsewhere, the model reads as text.
_FILED: Final = frozenset((
    "data", "bytes", "bytesBase64Encoded", "b64_json", "url", "image_url", "document_url",
    "file_data", "image_data", "image", "images", "video", "audio", "result",
))  # fmt: skip
#: Characters; what is shorter costs little as text.
_SHORTEST_FILE: Final = 256
_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=\r\n"


def _without_files(item: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """An object without the files it holds, and how many those are."""
    kept: dict[str, Any] = {}
    files = 0
    for key, inner in item.items():
        value = inner
        if key in _FILED:
            if type(inner) is str and _is_file(inner):
                files += 1
                continue
            if type(inner) is list:
                value = [one for one in inner if type(one) is not str or not _is_file(one)]
                files += len(inner) - len(value)
        kept[key] = value
    return kept, files


def _is_file(text: str) -> bool:
    if len(text) <= _SHORTEST_FILE:
        return False
    if text.startswith("data:"):
        return True
    # The beginning tells: nobody writes so much without a blank.
    start = text[:_SHORTEST_FILE]
    return " " not in text and start.isascii() and not start.encode().translate(None, _BASE64)


def strings_and_kinds(document: dict[str, Any]) -> tuple[list[str], bytes]:
    """The strings of a document, files among them, and of each what it is to the model (`_TOLD`,
    `_USERS`), in document order but for what the model is told first.

    Behind them come names that reach the model, too: those of what tools take, were given and
    answer, and roles nobody has. `document` is no deeper than `body.MOST_DEPTH`.
    """
    found: list[str] = []
    kinds = bytearray()
    names: list[str] = []

    def walk_list(items: list[Any], kind: int, filled: bool) -> None:
        if len(items) > _LONG_LIST and _TEXTLESS.issuperset(map(type, items)):
            return
        for inner in items:
            what = type(inner)
            if what is str:
                found.append(inner)
                kinds.append(kind)
            elif what is dict:
                walk(inner, kind, filled)
            elif what is list:
                walk_list(inner, kind, filled)

    def walk(item: dict[str, Any], kind: int, filled: bool) -> None:
        if filled:
            names.extend(item)
        what = item.get("type")
        if what is not None and type(what) is str and what not in _TEXTUAL:
            kind = kind & _TOLD if what.endswith(_ANSWERS) else _ASIDE
        role = item.get("role")
        if role is not None and type(role) is str and role != "user":
            known = role.lower()
            if known != "user":
                kind &= ~_USERS
                if known not in _ROLES:
                    names.append(role)
        for key, inner in item.items():
            if type(inner) is str:
                if key not in _NAMING:
                    found.append(inner)
                    kinds.append(kind if key in _TELLING else _ASIDE)
            elif type(inner) is dict and key not in _NAMING:
                if key in _NAMED_FREELY and not filled:
                    names.extend(inner)
                # At the top, an input is named by the API.
                freely = filled or (key in _FILLED_FREELY and item is not document)
                walk(inner, kind if key in _TELLING else _ASIDE, freely)
            elif type(inner) is list and key not in _NAMING:
                walk_list(inner, kind if key in _TELLING else _ASIDE, filled)

    if not document.keys().isdisjoint(FIRST):
        document = {name: document[name] for name in FIRST if name in document} | document
    walk(document, _TOLD | _USERS, False)
    if names:
        found += names
        kinds += bytes(len(names))
    return found, bytes(kinds)


def phrases_in(document: dict[str, Any], phrases: Phrases) -> tuple[str, ...]:
    """Labels of the phrases in a document, each once, sorted.

    A phrase is found within a string and across strings that follow each other, whether the
    upstream joins them with nothing (OpenAI) or with white space (vLLM: a line feed): all strings;
    those of the prompt alone, since what stands between them may reach nobody; of those, the ones
    of the user's turns alone, and all others alone.

    Raises:
        Misshapen: there is more text than `MOST_WORK` allows.
    """
    texts, kinds = strings_and_kinds(document)
    pieces, inner = _folded(texts)
    whole = b"".join(pieces) if len(pieces) < 2 else collapsed(b"".join(pieces))
    found = {*phrases.find(whole)}
    if inner:
        found.update(phrases.find(inner))
    if len(pieces) > 1:
        # Within a piece it would have been found by now: look at where two meet.
        ends = _ends(pieces, phrases.longest)
        found.update(phrases.find(collapsed(b" ".join(ends))))
        for view in _views(ends, kinds):
            found.update(phrases.find(collapsed(b"".join(view))))
            found.update(phrases.find(collapsed(b" ".join(view))))
    return tuple(sorted(found))


def _views(pieces: list[bytes], kinds: bytes) -> list[list[bytes]]:
    """The pieces of the prompt, of the user's turns and of all others, where they are some of all
    that is in the view before, and more than one.
    """
    told = list(compress(pieces, kinds.translate(_OF_PROMPT)))
    views = [told] if len(told) < len(pieces) else []
    for wanted in (_OF_USER, _OF_OTHERS):
        view = list(compress(pieces, kinds.translate(wanted)))
        if len(view) < len(told):
            views.append(view)
    return [view for view in views if len(view) > 1]


#: Kinds of strings → 1 for those of a view.
_OF_PROMPT: Final = bytes(1 if kind & _TOLD else 0 for kind in range(256))
_OF_USER: Final = bytes(1 if kind & _USERS else 0 for kind in range(256))
_OF_OTHERS: Final = bytes(1 if kind == _TOLD else 0 for kind in range(256))


def _ends(pieces: list[bytes], reach: int) -> list[bytes]:
    """The pieces without the middle of those that are long: what is further than `reach` from
    either end is part of no phrase that crosses it."""
    if max(map(len, pieces)) <= 2 * reach:
        return pieces
    return [
        piece if len(piece) <= 2 * reach else b"%b\n%b" % (piece[:reach], piece[-reach:])
        for piece in pieces
    ]


#: Strings up to this length are folded together, characters: each costs 1 µs by itself.
_SHORT: Final = 512


def _folded(texts: list[str]) -> tuple[list[bytes], bytes]:
    """Each text folded, in order; and what was wrapped in any of them, folded together."""
    room = MOST_WORK
    short = [text for text in texts if len(text) <= _SHORT]
    joined = SEPARATOR.join(short)
    if joined.count(SEPARATOR) >= len(short) > 0:
        joined = SEPARATOR.join([text.replace(SEPARATOR, "") for text in short])
    plains: list[bytes] = []
    for text in (joined, *[text for text in texts if len(text) > _SHORT]):
        if text.isascii():
            room -= len(text) + text.count("  ") * _BLANKS
        else:
            room -= len(text) * _FOREIGN
        if room < 0:
            raise Misshapen
        plains.append(undressed(text))
    inner = " ".join(filter(None, map(unwrapped, plains)))
    together, *alone = plains
    if not alone:
        pieces = spaced_apart(together)
    else:
        first, rest = iter(spaced_apart(together)), iter(alone)
        pieces = [next(first) if len(text) <= _SHORT else spaced(next(rest)) for text in texts]
    return pieces, fold(inner) if inner else b""
