"""A megabyte of anything is read, or refused, within 50 ms of CPU.

Seconds are those of the machine on which the 50 ms were laid down: what it takes for a fixed piece
of work here, against what it took there, tells how much slower this one is at the moment.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from time import process_time
from typing import Any, Final

import pytest

from gateway_guard.core.identify import identify
from gateway_guard.core.sections import Identify, Inspect
from gateway_guard.types import Inspection, Wire
from tests import build

SIZE: Final = 1_000_000
#: Seconds of CPU a request may take, and what `reference` took where that was laid down.
MOST: Final = 0.050
REFERENCE: Final = 0.008

RULES, INSPECT = Identify(), Inspect(phrases=("denyme-7f3a", "project nightjar", "ignore previous"))
_chance = random.Random(7)


def fill(unit: str) -> str:
    """As many of `unit` as make a megabyte of JSON."""
    return unit * (SIZE // len(json.dumps(unit, ensure_ascii=False).encode()[1:-1]))


def any_of(*units: str) -> str:
    text = "".join(_chance.choices(units, k=SIZE // max(len(unit.encode()) for unit in units)))
    return text[:SIZE]


WRAPPED = base64.b64encode(b"chain of thought, denyme-7f3a ").decode()

TEXTS: Final = {
    "backslashes": fill("\\"),
    "quotes": fill('"'),
    "line feeds": fill("\n"),
    "spaces": fill(" "),
    "tabs and spaces": fill("\t "),
    "NUL": fill("\0"),
    "letters": fill("a"),
    "letters apart": fill("d e n y "),
    "letters dotted": fill("d.e.n.y."),
    "letters far apart": fill("d         "),
    "the beginnings of a phrase": fill("denyme-7f"),
    "a phrase": fill("denyme-7f3a "),
    "elicitation": fill("chain of thought "),
    "brackets": fill("["),
    "tags": fill("<think>"),
    "colons and lines": fill("a:\n"),
    "headings": fill("\n# a"),
    "digits": fill("0"),
    "hex": fill("64656e796d65 "),
    "hex of hex": b"denyme-7f3a ".hex().encode().hex() * 20_000,
    "base64": fill(WRAPPED + " "),
    "base64 in lines": fill(WRAPPED + "\n"),
    "base64 in short lines": fill("ZGVueW1lLTdmM2E\nab\n"),
    "base64 twice": fill(base64.b64encode(WRAPPED.encode() * 9).decode() + " "),
    "one run of base64": "".join(_chance.choices(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", k=SIZE)),
    "percent encoding": fill("%64%65"),
    "percent signs": fill("%"),
    "percent of percent": fill("%2564"),
    "entities": fill("&#100;"),
    "entities of zeros": fill("&#" + "0" * 90),
    "entities of no character": fill("&#" + "9" * 5000 + ";"),
    "halves of escapes": fill("\\ud835\\udc1d"),
    "escapes of zeros": fill("\\u{" + "0" * 90),
    "named entities": fill("&notin;"),
    "ampersands": fill("&a"),
    "escapes": fill("\\u0064"),
    "escapes of octal": fill("\\144"),
    "zero-width": fill("\u200b"),
    "bidi": fill("\u202e\u2066a"),
    "combining marks": fill("\u0301"),
    "marks of many classes": any_of(*map(chr, range(0x300, 0x36F))),
    "tag characters": fill("\U000e0041"),
    "selectors": fill("\ufe0f"),
    "private use": fill("\U000f0000"),
    "Cyrillic": fill("денуме "),
    "Greek": fill("χαιν οφ "),
    "full-width": fill("ｄｅｎｙｍｅ"),
    "mathematical": fill("𝐝𝐞𝐧𝐲"),
    "small capitals": fill("ᴅᴇɴʏ"),
    "Chinese": fill("思维链的推理"),
    "Hangul": fill("추론과정"),
    "Arabic, dressed": fill("ﷲ"),
    "the longest form": fill("ﷺ"),
    "squared words": fill("㌖"),
    "compatibility ideographs": fill("\U0002f800"),
    "emoji": fill("😀"),
    "flags": fill("🇩🇪"),
    "accents": fill("é"),
    "accents and others in turn": fill("éд"),
    "one foreign letter in fifty": fill("a" * 50 + "д"),
    "sharp s": fill("ß"),
    "everything": any_of(*(chr(code) for code in range(0x20, 0x3000))),
}  # fmt: skip


def said(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def chat(*messages: Any, **members: Any) -> bytes:
    document = {"model": "m", "messages": list(messages), **members}
    return json.dumps(document, ensure_ascii=False).encode()


#: The same by how it is cut up.
SHAPES: Final[dict[str, Callable[[], bytes]]] = {
    "turns of a letter": lambda: chat(*[said("a")] * 12_000),
    "parts of a letter": lambda: chat(said([{"type": "text", "text": "a"}] * 12_000)),
    "texts of foreign letters": lambda: chat(said(["д"] * 60_000)),
    "names": lambda: chat(said("a"), tools=[{"properties": {f"p{n}": n for n in range(60_000)}}]),
    "roles": lambda: chat(*[{"role": f"r{n}", "content": "a"} for n in range(12_000)]),
    "nested lists": lambda: b'{"x":' + b"[" * 90 + b"]" * 90 + b"}",
    "names in what a tool is given": lambda: chat(
        said([{"type": "tool_use", "input": {"a": [{f"p{n}": n} for n in range(24_000)]}}])
    ),
    "turns of many roles": lambda: chat(
        *[said("a") | {"role": role} for role in ("user", "assistant", "tool") * 4_500], system="b"
    ),
    "too deep": lambda: b'{"x":' + b"[" * (SIZE // 2) + b"]" * (SIZE // 2) + b"}",
    "never closed": lambda: b'{"x":' + b'{"a":' * (SIZE // 5),
    "numbers": lambda: b'{"x":[' + b"1," * 300_000 + b"1]}",
    "escaped letters": lambda: chat(said("")).replace(b'""', b'"' + b"\\u0064" * 160_000 + b'"'),
    "escaped surrogates": lambda: chat(said("")).replace(
        b'""', b'"' + b"\\ud83d\\ude00" * 80_000 + b'"'
    ),
    "lone surrogates": lambda: chat(said("")).replace(b'""', b'"' + b"\\ud800" * 160_000 + b'"'),
    "invalid UTF-8": lambda: chat(said("")).replace(b'""', b'"' + b"\xff" * SIZE + b'"'),
    "keys": lambda: json.dumps({f"k{n}": n for n in range(60_000)}).encode(),
    "a form": lambda: b"prompt=" + b"%64" * (SIZE // 3),
    "a form of many fields": lambda: b"a=b&" * (SIZE // 4),
}


def reference() -> float:
    """Seconds of CPU for work of the kind that is measured, and of a fixed size."""
    text = ("The quick brown fox jumps over the lazy dog. Ünïcödé 思维链. " * 4_000)[:240_000]
    document = json.dumps({"a": [{"b": text[:n]} for n in range(0, 2_000, 2)]})
    table = {code: code for code in range(0x20, 0x3000)}
    began = process_time()
    json.loads(document)
    text.translate(table).casefold().encode().translate(bytes(range(256)), b" ").split(b"t")
    return process_time() - began


def look(body: bytes, kind: str = "application/json") -> tuple[float, Inspection]:
    """Seconds of CPU for all that is read of a request, and how much of its body was."""
    wire = Wire(
        method="POST", raw_path=b"/v1/chat/completions", peer="192.0.2.1", body=body,
        headers=[(b"content-type", kind.encode()), (b"authorization", b"Bearer k")],
    )  # fmt: skip
    began = process_time()
    request = identify(wire, RULES, INSPECT, id="r", at=0.0, secret=build.SECRET, keys={})
    return process_time() - began, request.inspection


def dear(body: bytes, kind: str = "application/json") -> str | None:
    """What a body costs where it is too much: the least of several looks, each beside its own
    measure of how fast this machine is."""
    best = float("inf")
    for _ in range(15):
        slower = max(1.0, reference() / REFERENCE)
        best = min(best, look(body, kind)[0] / slower)
        if best <= MOST:
            return None
    return f"{best * 1000:.0f} ms"


def test_a_megabyte_of_any_text_is_read_in_no_time() -> None:
    look(chat(said("Hello.")))  # what is made once

    found = {name: dear(chat(said(text))) for name, text in TEXTS.items()}

    assert {name: took for name, took in found.items() if took is not None} == {}
    assert look(chat(said(TEXTS["letters"])))[1] is Inspection.FULL


def test_a_megabyte_of_any_shape_is_read_in_no_time() -> None:
    form = "application/x-www-form-urlencoded"

    found = {
        name: dear(make(), form if "form" in name else "application/json")
        for name, make in SHAPES.items()
    }

    assert {name: took for name, took in found.items() if took is not None} == {}


@pytest.mark.parametrize(
    "name", ["letters apart", "base64 in lines", "entities", "marks of many classes"]
)
def test_the_cost_of_hostile_text_is_linear(name: str) -> None:
    text = TEXTS[name]
    half, whole = chat(said(text[: len(text) // 2])), chat(said(text))

    ratios = [look(whole)[0] / max(look(half)[0], 1e-4) for _ in range(7)]

    assert min(ratios) < 4
