"""One reading of a request target's path, or none.

A rule judges the path this module gives; the upstream judges the bytes the client sent. Where the
two could differ (an encoded slash, `..`, `;` parameters, a double encoding, …) there is no
canonical path, and the guard decides on *ambiguous* instead of guessing which of the readings the
upstream takes.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

#: Longest path read, bytes. Servers refuse request lines long before (8 KiB is usual).
LONGEST: Final = 16_384

_PLAIN: Final = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_~!$&'()*+,=:@/."
#: Visible ASCII that no reader of targets treats specially, though RFC 3986 wants it encoded.
_TOLERATED: Final = b'"<>[]^`{|}'
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
#: What must not come out of an escape: it would split, cut or end the path for some readers.
_NEVER_ESCAPED: Final = frozenset(b"/\\;?#")
_DOUBLE: Final = re.compile(r"%[0-9A-Fa-f]{2}|%[uU]")
#: An ARN as the model of a path, in one segment with its slash escaped: Bedrock's inference
#: profiles, provisioned and imported models. What stands before the slash, and behind it.
#: Source: "InvokeModel", docs.aws.amazon.com/bedrock; what its SDKs send.
_COLON: Final = "(?::|%3[Aa])"
_ARN: Final = re.compile(
    rf"(/(?:[^%]*/)?model/arn{_COLON}aws[a-z-]*{_COLON}(?:bedrock|sagemaker){_COLON}[0-9a-z-]*"
    rf"{_COLON}[0-9]*{_COLON}[a-z-]+)%2[Ff]((?:[0-9A-Za-z_-]|[.](?![.])|{_COLON})+/[a-z-]+)".encode()
)
_STRUCTURE: Final = str.maketrans("", "", "/\\.;?#%")
#: Turkish letters that comparing without regard to case makes an `i` of, here or there.
_LIKE_I: Final = str.maketrans("ıİ", "ii")


def canonical(raw_path: bytes) -> str | None:
    """The path of a request target, percent-decoded once; None when it can be read in two ways.

    `raw_path` is as received, without the query. `.` segments and repeated slashes inside the path
    are resolved, escapes decoded as UTF-8. None for:

    - anything that does not start with exactly one `/` (absolute and authority forms, `*`,
      `//host`);
    - an escape that is not two hex digits, or that decodes to `/`, `\\`, `;`, `?`, `#`, a control
      character, or a `%` that a second decoding would read as another escape;
    - a raw backslash, `;`, `?`, `#`, control or non-ASCII byte;
    - a `..` segment, however spelled: an upstream that resolves it and one that does not read
      different resources, and client libraries resolve it before they send;
    - a segment that ends in a dot or has a space at an end (some file systems drop those);
    - invalid or overlong UTF-8, invisible characters, and characters whose compatibility form is
      one of `/ \\ . ; ? # %` (full-width solidus and the like);
    - more than `LONGEST` bytes.

    Letters and digits in compatibility forms (full-width, enclosed, mathematical, ligatures) come
    out as the plain ones: whoever reads `/ａdmin` as `/admin` gets what is judged as that.

    One escaped slash stays as `%2F`: that of an ARN behind `/model/`. Whether or not a reader takes
    it for a slash, the model is the same, and so is what stands before and behind.

    Total: never raises.
    """
    if not raw_path.translate(None, _PLAIN):
        if raw_path[:1] != b"/":
            return None
        if b"//" not in raw_path and b"/." not in raw_path and b"./" not in raw_path:
            if len(raw_path) > LONGEST or raw_path[-1:] == b".":
                return None
            return raw_path.decode("ascii")
    return _slow(raw_path)


def _slow(raw_path: bytes) -> str | None:
    if len(raw_path) > LONGEST or raw_path[:1] != b"/" or raw_path[:2] == b"//":
        return None
    if raw_path.translate(None, _PLAIN + _TOLERATED + b"%"):
        return None
    if raw_path.count(b"%") != len(_ESCAPE.findall(raw_path)):
        return None
    arn = _ARN.fullmatch(raw_path) if b"arn" in raw_path else None
    if arn is not None:
        outer, inner = canonical(arn[1]), canonical(b"/" + arn[2])
        return None if outer is None or inner is None else f"{outer}%2F{inner[1:]}"
    for digits in _ESCAPE.findall(raw_path):
        byte = int(digits, 16)
        if byte < 0x20 or byte == 0x7F or byte in _NEVER_ESCAPED:
            return None
    try:
        path = _ESCAPE.sub(_decode, raw_path).decode("utf-8")
    except UnicodeDecodeError:
        return None
    if not path.isprintable() or _DOUBLE.search(path):
        return None
    if not path.isascii():
        plain = unicodedata.normalize("NFKC", path)
        if _structure(plain) != _structure(path):
            return None
        path = plain.translate(_LIKE_I)
    return _resolve(path)


def _decode(escape: re.Match[bytes]) -> bytes:
    return bytes((int(escape[1], 16),))


def _structure(path: str) -> int:
    """How many of its characters structure a path."""
    return len(path) - len(path.translate(_STRUCTURE))


def _resolve(path: str) -> str | None:
    kept: list[str] = []
    segments = path.split("/")
    last = len(segments) - 1
    for index, segment in enumerate(segments):
        if segment in ("", "."):
            # `/a/` and `/a/.` name the same; the trailing slash stays.
            if index == last or index == 0:
                kept.append("")
            continue
        if segment == ".." or segment[-1] in ". " or segment[0] == " ":
            return None
        kept.append(segment)
    return "/".join(kept) or "/"
