"""Text that others wrote, as it may be shown on a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """`text` with U+FFFD for each control and format character: what people and clients wrote must
    not drive the terminal, nor begin a line of its own.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def lines_printable(text: str) -> str:
    """The same, but its lines stay lines: what a message of several says."""
    return "\n".join(map(printable, text.split("\n")))
