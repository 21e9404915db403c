"""HTML and SVG as trees, so that nothing can be left unescaped."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import TypeAlias
from xml.etree.ElementTree import Element, tostring

#: What stands inside an element: text, elements, and several of either; None is nothing.
Child: TypeAlias = "str | int | Element | Iterable[Child] | None"

#: Controls, invisible formatting (which can turn the reading direction) and half characters.
_UNSEEN = frozenset(("Cc", "Cf", "Cs"))


def clean(text: str) -> str:
    """`text` with every character that cannot be seen replaced by `�`; line feeds stay."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in _UNSEEN and c != "\n" else c
        for c in text
    )


def tag(name: str, /, *children: Child, **attributes: str | float | None) -> Element:
    """An element. `cls` stands for `class`, `_` in a name for `-`; None leaves an attribute out.

    Numbers are rounded to hundredths.
    """
    element = Element(name)
    for key, value in attributes.items():
        if value is None:
            continue
        word = "class" if key == "cls" else key.replace("_", "-")
        element.set(word, clean(value) if isinstance(value, str) else _figure(value))
    _put(element, children)
    return element


def _figure(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.2f}".rstrip("0").rstrip(".")


def page(root: Element) -> str:
    """A whole HTML document."""
    return "<!doctype html>\n" + tostring(root, encoding="unicode", method="html") + "\n"


def _put(element: Element, children: Iterable[Child]) -> None:
    for child in children:
        if child is None:
            continue
        if isinstance(child, Element):
            element.append(child)
        elif isinstance(child, str | int):
            _write(element, clean(str(child)))
        else:
            _put(element, child)


def _write(element: Element, text: str) -> None:
    last = element[-1] if len(element) else None
    if last is None:
        element.text = (element.text or "") + text
    else:
        last.tail = (last.tail or "") + text
