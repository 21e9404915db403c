"""Collecting findings, with places, while a policy is read."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from gateway_guard.policy.diagnostics import CODES, Diagnostic, Severity

#: After this many errors reading stops, and no more warnings are kept: nobody reads on, and each
#: costs time.
MAX_FINDINGS: Final = 200
#: What YAML 1.1 calls a line break; marks count lines by these.
_BREAK: Final = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
#: What would break or end a line on somebody's screen.
_UNSHOWN: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class TooMany(Exception):  # noqa: N818 - a signal to stop reading, never seen outside the package
    """`MAX_FINDINGS` was reached."""


class Findings:
    """The findings of one file so far.

    Attributes:
        name: the file, as the operator named it.
        all: the diagnostics, in order of discovery.
        errors: how many of them are errors.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.all: list[Diagnostic] = []
        self.errors = 0
        self._text = ""
        self._lines: list[str] = []

    def text(self, text: str) -> None:
        """From here on findings quote `text`."""
        self._text = text
        self._lines = []

    def veil(self, node: Node) -> None:
        """No finding quotes this value: a credential, which must not reach a log by way of us.

        As wide as it is, so that what stands behind it keeps its column.
        """
        start, end = node.start_mark, node.end_mark
        for number in range(start.line, end.line + 1):
            line = self._line(number)
            first = start.column if number == start.line else 0
            last = min(end.column if number == end.line else len(line), len(line))
            if first >= last:
                continue
            hidden = f"{line[:first]}{'*' * (last - first)}{line[last:]}"
            self._lines[number] = hidden
            self.all = [
                replace(said, source=hidden) if said.line == number + 1 else said
                for said in self.all
            ]

    def file(self, code: str, message: str, *, hint: str = "") -> None:
        """A finding about the file as a whole."""
        self._add(code, message, hint, 0, 0, "", 1)

    def at(self, code: str, node: Node, message: str, *, hint: str = "") -> None:
        """A finding about `node`; marks it, or its first line."""
        start, end = node.start_mark, node.end_mark
        width = end.column - start.column if end.line == start.line else 0
        if not width and isinstance(node, MappingNode | SequenceNode) and node.value:
            first = node.value[0][0] if isinstance(node, MappingNode) else node.value[0]
            if first.start_mark.line == start.line and isinstance(first, ScalarNode):
                width = first.end_mark.column - start.column
        line = self._line(start.line)
        if not width:
            width = len(line.rstrip()) - start.column if end.line > start.line else 1
        self._add(code, message, hint, start.line + 1, start.column + 1, line, max(1, width))

    def at_mark(
        self, code: str, event: Any, message: str, *, width: int = 0, hint: str = ""
    ) -> None:
        """A finding about a YAML event."""
        start, end = event.start_mark, event.end_mark
        if not width:
            width = end.column - start.column if end.line == start.line else 1
        self._add(
            code, message, hint, start.line + 1, start.column + 1, self._line(start.line),
            max(1, width),
        )  # fmt: skip

    def at_index(self, code: str, index: int, message: str, *, hint: str = "") -> None:
        """A finding about the character at `index` of the text."""
        line = start = 0
        for line, found in enumerate(_BREAK.finditer(self._text, 0, index), 1):  # noqa: B007
            start = found.end()
        self._add(code, message, hint, line + 1, index - start + 1, self._line(line), 1)

    def _line(self, number: int) -> str:
        if not self._lines:
            self._lines = _BREAK.split(self._text)
        return self._lines[number] if number < len(self._lines) else ""

    def _add(
        self, code: str, message: str, hint: str, line: int, column: int, source: str, width: int
    ) -> None:
        severity = CODES[code].severity
        # What it quotes may have line breaks.
        message = _UNSHOWN.sub(" ", message)
        if severity is Severity.WARNING and len(self.all) >= MAX_FINDINGS:
            return
        self.all.append(
            Diagnostic(
                code=code, message=message, hint=hint, file=self.name, line=line, column=column,
                source=source, width=width, severity=severity,
            )
        )  # fmt: skip
        if severity is Severity.ERROR:
            self.errors += 1
            if self.errors == MAX_FINDINGS:
                raise TooMany
