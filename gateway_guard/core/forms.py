"""Form bodies (`multipart/form-data`), read only where every reader reads them alike.

Audio and images reach a model this way. What is judged are the fields; files are counted and never
looked into. Readers of forms differ much more than readers of JSON, so only the form that client
libraries write is read: anything else is unknown, and the policy decides.
"""

from __future__ import annotations

import re
from typing import Any, Final

from gateway_guard.core.members import MEMBERS, MEMBERS_FOLDED
from gateway_guard.types import Inspection

#: Most parts of one form; OpenAI takes 16 images and a dozen fields.
MOST_PARTS: Final = 64
_TYPE: Final = re.compile(
    rb"multipart/form-data[ \t]*;[ \t]*boundary=(?:([0-9A-Za-z'+_.-]{1,70})"
    rb'|"([0-9A-Za-z\'()+_,./:=?-]{1,70})")',
    re.IGNORECASE,
)
_DISPOSITION: Final = re.compile(
    rb'content-disposition: form-data; name="([0-9A-Za-z_.-]{1,64}(?:\[\])?)"'
    rb'(?:; filename="([^"\\\x00-\x1f\x7f]{0,512})")?',
    re.IGNORECASE,
)
_ASIDE: Final = re.compile(
    rb"content-type: [0-9a-z!#$&^_.+/-]{1,127}(?:; ?charset=\"?utf-8\"?)?"
    rb"|content-length: ([0-9]{1,12})",
    re.IGNORECASE,
)
_COUNTS: Final = frozenset((
    "n", "best_of", "max_tokens", "max_completion_tokens", "max_output_tokens", "top_logprobs",
))  # fmt: skip
_FLAGS: Final = {"true": True, "1": True, "false": False, "0": False}
#: The field that says in what the others are written. Source: RFC 7578, section 4.6.
_CHARSET: Final = "_charset_"
#: Members that forms write as lists.
_LISTS: Final = frozenset(("include",))


def is_form(content_types: list[bytes]) -> bool:
    """Whether the lines of Content-Type declare a form that `parse` may read."""
    return len(content_types) == 1 and content_types[0][:20].lower() == b"multipart/form-data;"


def parse(body: bytes, content_type: bytes) -> dict[str, Any] | Inspection:
    """The fields of a form as a document, or why there is none that every reader would read alike.

    Counts and flags come in the types JSON has for them; fields `name[]` as one list under `name`.
    Each file counts as one medium in a turn of the user's. Refused: text before the first or after
    the last part, delimiters anywhere but on a line of their own, header fields of a part other
    than a plain Content-Disposition, Content-Type and Content-Length, a length that is not the
    part's, a field named twice, a file without a name (a field to some) or under the name of a
    member that decides something, and fields that are not UTF-8 or say what others are written in.

    Total: never raises.
    """
    declared = _TYPE.fullmatch(content_type.strip(b" \t"))
    if declared is None:
        return Inspection.CONTENT_TYPE
    pieces = body.split(b"--" + (declared[1] or declared[2]), MOST_PARTS + 2)
    if len(pieces) < 3 or len(pieces) > MOST_PARTS + 2:
        return Inspection.SHAPE
    if pieces[0] or pieces[-1] not in (b"--", b"--\r\n"):
        return Inspection.SHAPE
    document: dict[str, Any] = {}
    files: list[dict[str, Any]] = []
    for piece in pieces[1:-1]:
        head, blank, content = piece[2:-2].partition(b"\r\n\r\n")
        if piece[:2] != b"\r\n" or piece[-2:] != b"\r\n" or not blank:
            return Inspection.SHAPE
        name, file = _named(head, len(content))
        if name is None:
            return Inspection.SHAPE
        bare = name.removesuffix("[]")
        if file is not None:
            if bare.casefold() in MEMBERS_FOLDED or (content and not file):
                return Inspection.SHAPE
            files.append({"inlineData": {}})
            continue
        problem = _add(document, name, bare, content)
        if problem is not None:
            return problem
    if files:
        if "contents" in document:
            return Inspection.SHAPE
        document["contents"] = [{"role": "user", "parts": files}]
    return document


def _named(head: bytes, length: int) -> tuple[str | None, bytes | None]:
    """The name of a part of so many bytes, and its file's; None for the name when its header is not
    the usual one, and for the file's when it is a field."""
    disposition: re.Match[bytes] | None = None
    fields = head.split(b"\r\n")
    for field in fields:
        found = _DISPOSITION.fullmatch(field)
        if found is not None and disposition is None:
            # First or, as aiohttp writes it, behind the type.
            disposition = found
            continue
        aside = _ASIDE.fullmatch(field)
        # Some readers end a part where its length says.
        if aside is None or (aside[1] is not None and int(aside[1]) != length):
            return None, None
    if disposition is None or len(fields) > 3:
        return None, None
    return disposition[1].decode("ascii"), disposition[2]


def _add(document: dict[str, Any], name: str, bare: str, content: bytes) -> Inspection | None:
    """Put one field into the document; why not, when it cannot be."""
    if name.casefold() == _CHARSET:
        return Inspection.CHARSET
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return Inspection.CHARSET
    if name != bare:
        if bare in MEMBERS and bare not in _LISTS:
            return Inspection.SHAPE
        kept = document.setdefault(bare, [])
        if type(kept) is not list:
            return Inspection.DUPLICATE_KEYS
        kept.append(text)
        return None
    if name in document:
        return Inspection.DUPLICATE_KEYS
    value: Any = text
    if name in _COUNTS:
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            return Inspection.SHAPE
        value = int(text)
    elif name == "stream" or name == "logprobs":
        value = _FLAGS.get(text.lower())
        if value is None:
            return Inspection.SHAPE
    document[name] = value
    return None
