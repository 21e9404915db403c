"""Bytes → YAML nodes, without building anything the text does not spell out.

The parser's events are turned into PyYAML's node classes here, by a loop instead of its composer:
an alias is refused where it stands, so nothing is ever expanded, and depth and number are bounded
while reading. No value is interpreted: `NO` stays the two letters `NO`.
"""

from __future__ import annotations

import codecs
import re
from typing import Any, Final

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from gateway_guard.policy.reader import Findings

MAX_BYTES: Final = 1024 * 1024
#: Source: real policies nest 7 levels and hold below 2,000 nodes; the bounds are not measured.
MAX_DEPTH: Final = 16
MAX_NODES: Final = 50_000

_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_GZIP: Final = b"\x1f\x8b"
_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
#: What looks like a space in front of a key or an item of a list, and is text to YAML.
_NO_SPACE: Final = re.compile(
    "^ *([\u00a0\u2000-\u200b\u202f\u3000])[^\\S\n]*(?:- |[\"']?[\\w.-]+[\"']?:(?:\\s|$))",
    re.MULTILINE,
)
#: An IPv6 address or network, whose colons YAML takes for its own within brackets.
_ADDRESS: Final = re.compile(r"[0-9A-Fa-f:.]*::[0-9A-Fa-f:.]*(?:/\d+)?", re.ASCII)
_LONGEST_ADDRESS: Final = 64
_WHERE: Final = re.compile(r"\s+(in|at) \".*", re.DOTALL)


def decode(source: bytes, found: Findings) -> str | None:
    """The text of a policy file; None, with a finding, when it cannot be one."""
    if len(source) > MAX_BYTES:
        found.file("GG102", f"{len(source):,} bytes, more than {MAX_BYTES:,}")
        return None
    if source.startswith(_GZIP):
        found.file("GG103", "it is gzipped", hint="unpack it (gunzip), or name the plain file")
        return None
    source = source.removeprefix(codecs.BOM_UTF8)
    try:
        text = source.decode("utf-8")
    except UnicodeDecodeError as error:
        # Shown with replacement characters; what stands before the bad byte is good text.
        found.text(source.decode("utf-8", "replace"))
        found.at_index(
            "GG103",
            len(source[: error.start].decode("utf-8")),
            f"not UTF-8: byte 0x{source[error.start]:02x}",
            hint="save the file as UTF-8",
        )
        return None
    found.text(text)
    control = _CONTROL.search(text)
    if control is not None:
        found.at_index(
            "GG103",
            control.start(),
            f"control character U+{ord(control.group()):04X}",
            hint="delete it; is this file UTF-16 or binary?",
        )
        return None
    blank = _NO_SPACE.search(text)
    if blank is not None:
        found.at_index(
            "GG110",
            blank.start(1),
            f"U+{ord(blank.group(1)):04X} used for indentation: it looks like a space and is none",
            hint="use spaces; it comes along with text from web pages and word processors",
        )
        return None
    return text


def compose(text: str, found: Findings) -> Node | None:
    """The root node; None, with findings, when the text is not one plain YAML document."""
    root: Node | None = None
    stack: list[tuple[Any, list[Any]]] = []
    documents = count = 0
    loader = _LOADER(text)
    try:
        while loader.check_event():
            event: Any = loader.get_event()
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents == 2:
                    found.at_mark(
                        "GG108", event, "a second document starts here", width=3, hint=_ONE_ONLY
                    )
                    break
                continue
            if not isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent):
                continue
            node: Node | None = None
            if isinstance(event, yaml.CollectionEndEvent):
                node, children = stack.pop()
                node.end_mark = event.end_mark
                node.value = (
                    list(zip(children[::2], children[1::2], strict=True))
                    if isinstance(node, MappingNode)
                    else children
                )
                continue
            count += 1
            if count > MAX_NODES or len(stack) >= MAX_DEPTH:
                message = (
                    f"more than {MAX_NODES:,} keys and values"
                    if count > MAX_NODES
                    else f"nested more than {MAX_DEPTH} levels deep"
                )
                found.at_mark("GG109", event, message)
                return None
            if isinstance(event, yaml.AliasEvent):
                found.at_mark("GG106", event, f"alias '*{event.anchor}'", hint=_WRITE_OUT)
                node = _scalar(event, "", "*")
            else:
                node = _node(event, found)
            if stack:
                stack[-1][1].append(node)
            else:
                root = node
            if not isinstance(node, ScalarNode):
                stack.append((node, []))
    except yaml.MarkedYAMLError as error:
        _syntax(error, text, found)
        return None
    except yaml.YAMLError as error:
        found.file("GG105", _WHERE.sub("", str(error)).splitlines()[0])
        return None
    finally:
        loader.dispose()
    if root is None or (isinstance(root, ScalarNode) and not root.value and root.style is None):
        found.file(
            "GG104",
            "nothing in it but white space and comments" if text.strip() else "no bytes in it",
            hint=_NO_CASES if found.name.endswith(".test.yaml") else _NO_POLICY,
        )
        return None
    return root


_NO_POLICY: Final = "the smallest policy is `version: 1`"
_NO_CASES: Final = "name a `policy`, and write `cases` for it"
_ONE_ONLY: Final = "one policy per file; delete the line, or move what follows elsewhere"
_WRITE_OUT: Final = "write the value out; lists of countries can be named in `regions:`"


def _scalar(event: Any, value: str, style: str | None) -> ScalarNode:
    return ScalarNode("", value, event.start_mark, event.end_mark, style)


def _node(event: Any, found: Findings) -> Node:
    if event.anchor is not None:
        found.at_mark(
            "GG106",
            event,
            f"anchor '&{event.anchor}'",
            width=len(event.anchor) + 1,
            hint=_WRITE_OUT,
        )
    if event.tag is not None:
        tag = str(event.tag).replace("tag:yaml.org,2002:", "!!")
        found.at_mark("GG107", event, f"tag '{tag}'", width=len(tag), hint="leave it out")
    if isinstance(event, yaml.ScalarEvent):
        return _scalar(event, event.value, event.style or None)
    cls: Any = MappingNode if isinstance(event, yaml.MappingStartEvent) else SequenceNode
    node: Node = cls("", [], event.start_mark, event.end_mark, event.flow_style)
    return node


def _syntax(error: yaml.MarkedYAMLError, text: str, found: Findings) -> None:
    mark: Any = error.problem_mark or error.context_mark
    index = mark.index if mark is not None else 0
    before = text[:index].rpartition("\n")[2]
    rest = text[index:].partition("\n")[0]
    if "\t" in before[-1:] + rest[:1] and not (before + rest[:1]).strip(" \t-"):
        tab = index - len(before) + (before + rest[:1]).index("\t")
        found.at_index("GG110", tab, "tab used for indentation", hint="use spaces")
        return
    problem = error.problem or "not well-formed"
    if error.context:
        problem = f"{problem} ({error.context})"
    hint = ""
    near = before[-_LONGEST_ADDRESS:], rest[:_LONGEST_ADDRESS]
    word = re.split(r"[\s,\[{]", near[0])[-1] + re.split(r"[\s,\]}]", near[1])[0]
    if rest.startswith(("@", "`", "%")):
        hint = f"quote the value: '{rest.strip()}'"
    elif _ADDRESS.fullmatch(word) is not None:
        hint = f'quote it: "{word}"'
    elif not text[index:].strip() and "flow" in (error.context or ""):
        hint = "the file ends within brackets: close every `[` with `]` and every `{` with `}`"
    elif "mapping values are not allowed" in problem:
        hint = "a colon and a space inside a value: quote the value, or check the indentation"
    elif "did not find expected" in problem:
        hint = "check brackets, quotes and indentation here and in the line above"
    found.at_index("GG105", index, problem, hint=hint)
