"""A path has one reading: percent-decoded once as `urllib` does, its letters the plain ones, with
nothing in it that another reader resolves otherwise, and it reads as itself; case and a trailing
slash choose no other route."""

from __future__ import annotations

import re
import unicodedata
import urllib.parse

from gateway_guard.core.dialects import compile_routes, model_by_path, model_in_path, route
from gateway_guard.core.paths import canonical

WORDS = (
    b"/v1/chat/completions", b"/v1/messages", b"/openai/deployments/x/", b"%2f", b"%2e", b"%252f",
    b"/./", b"/../", b"//", b"%c0%af", b"\xef\xbc\x8f", b"%ef%bc%8f", b";", b"%00", b"%20", b"?",
    b"#", b"\\", b":generateContent", b"/v1beta/models/", b"/model/a:b/converse", b"%5c", b".",
    b"%E2%80%AE", b"/llm/x", b"/api/chat", b"%41",
)  # fmt: skip
_ROUTES = compile_routes(("/llm/*", "/mine/**"))


def target(data: bytes) -> None:
    """The path of a request target."""
    path = canonical(data)

    if path is None:
        return
    assert path.startswith("/")
    assert "//" not in path
    assert path.isprintable()
    assert not re.search(r"[\\;?#\x00-\x1f\x7f]|%[0-9A-Fa-f]{2}", path), path
    assert not {".", ".."}.intersection(path.split("/")), path
    plain = urllib.parse.unquote(data.decode("ascii"), errors="strict")
    plain = unicodedata.normalize("NFKC", plain).replace("\u0131", "i").replace("\u0130", "i")
    parts = [part for part in plain.split("/") if part not in ("", ".")]
    assert [part for part in path.split("/") if part] == parts, (data, path)
    quoted = urllib.parse.quote(path, safe="/!$&'()*+,=:@").encode()
    assert canonical(quoted) == path, (data, path, quoted)
    found = route(path, _ROUTES)
    for other in (path.upper(), path.lower(), path + "/"):
        # Upper case of a few letters is another letter; what folds alike is routed alike.
        if other.casefold() == path.casefold() or other.endswith("/"):
            assert route(other, _ROUTES) == found, (path, other)
    by_path = model_by_path(path)
    if by_path is not None:
        assert by_path in path
        assert by_path
    named = model_in_path(path)
    assert named is None or named in path
