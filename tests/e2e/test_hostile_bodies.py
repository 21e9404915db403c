"""Bodies that one reader takes for one thing and another for something else: what is denied in any
of their readings never arrives."""

from __future__ import annotations

import base64
import gzip
import json
import struct
import zlib
from typing import Any

import brotli
import msgspec
import pytest
import zstandard

from tests.e2e.hostile import MARK, MODEL, Case, Site, not_refused, outcomes

pytestmark = pytest.mark.e2e

CHAT = "/v1/chat/completions"
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"


def post(
    body: bytes | str,
    *lines: str,
    kind: str | None = JSON,
    coding: str | None = None,
    path: str = CHAT,
    method: str = "POST",
) -> bytes:
    body = body if isinstance(body, bytes) else body.encode()
    head = [f"{method} {path}?t={{T}} HTTP/1.1", "Host: api.test", *lines]
    head += [f"Content-Type: {kind}"] if kind is not None else []
    head += [f"Content-Encoding: {coding}"] if coding is not None else []
    head += [f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(head).encode() + body


def chat(content: Any, **members: Any) -> bytes:
    document = {"model": "m", "messages": [{"role": "user", "content": content}], **members}
    return json.dumps(document).encode()


def asks(**document: Any) -> bytes:
    return json.dumps({"model": "m", "messages": [], **document}).encode()


def part(name: str, value: str) -> str:
    return f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n--b--\r\n'


DENIED, FINE = chat(MARK), chat("hello")
TEXT, BENIGN = DENIED.decode(), FINE.decode()
#: The end of a document, from the value of `messages` on.
MESSAGES = TEXT.partition('"messages"')[2]
GZ, BR, ZLIB = gzip.compress(DENIED), brotli.compress(DENIED), zlib.compress(DENIED)
ZSTD = zstandard.compress(DENIED)
SKIPPED = struct.pack("<II", 0x184D2A50, 4) + b"abcd"
CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(DENIED), DENIED)
DICTIONARY = zlib.compressobj(zdict=b"messages")


def gz_header(flags: int, fields: bytes) -> bytes:
    """A member of gzip with optional fields in its header."""
    return GZ[:3] + bytes([flags]) + GZ[4:10] + fields + GZ[10:]


#: Content-Encoding → bytes.
CODED = {
    "gzip, with a name and a comment": ("gzip", gz_header(8 | 16, b"name\0comment\0")),
    "gzip, with an extra field": ("gzip", gz_header(4, b"\x04\0abcd")),
    "gzip, wrong checksum": ("gzip", GZ[:-8] + bytes(4) + GZ[-4:]),
    "gzip, wrong length": ("gzip", GZ[:-4] + bytes(4)),
    "gzip, without its end": ("gzip", GZ[:-8]),
    "gzip, cut": ("gzip", GZ[:-12]),
    "gzip, an empty member first": ("gzip", gzip.compress(b"") + GZ),
    "gzip, a fine member first": ("gzip", gzip.compress(FINE) + GZ),
    "gzip, padded": ("gzip", GZ + bytes(20)),
    "gzip that says identity": ("identity", GZ),
    "gzip that says nothing": (None, GZ),
    "gzip that says deflate": ("deflate", GZ),
    "gzip that says br": ("br", GZ),
    "gzip in a list of blanks": (" ,gzip, ,", GZ),
    "gzip behind a tab": ("\tgzip\t", GZ),
    "gzip with a quality": ("gzip;q=1", GZ),
    "gzip in quotes": ('"gzip"', GZ),
    "plain that says gzip": ("gzip", DENIED),
    "zlib that says gzip": ("gzip", ZLIB),
    "zlib that says nothing": (None, ZLIB),
    "zlib, and more": ("deflate", ZLIB + b"x"),
    "zlib with a dictionary": ("deflate", DICTIONARY.compress(DENIED) + DICTIONARY.flush()),
    "plain that says compress": ("compress", DENIED),
    "plain that says aws-chunked": ("aws-chunked", CHUNKS),
    "plain that says chunked": ("chunked", DENIED),
    "plain that says utf-8": ("utf-8", DENIED),
    "plain that says an empty word": ("", DENIED),
    "plain that says identity": ("Identity, IDENTITY", DENIED),
    "plain that says none": ("none", DENIED),
    "plain that says all": ("*", DENIED),
    "br, and more": ("br", BR + b"xx"),
    "br, twice": ("br", brotli.compress(FINE) + BR),
    "br, cut": ("br", BR[:-2]),
    "zstd behind a skipped frame": ("zstd", SKIPPED + ZSTD),
    "zstd before a skipped frame": ("zstd", ZSTD + SKIPPED),
    "zstd, twice": ("zstd", zstandard.compress(FINE) + ZSTD),
    "zstd, cut": ("zstd", ZSTD[:-3]),
    "zstd without a size": (
        "zstd", zstandard.ZstdCompressor(write_content_size=False).compress(DENIED),
    ),
    "gzip in br": ("gzip, br", brotli.compress(GZ)),
    "br in gzip, the wrong way round": ("gzip, br", gzip.compress(BR)),
    "three codings": ("gzip, gzip, gzip", gzip.compress(gzip.compress(GZ))),
}  # fmt: skip

#: Content-Type → bytes.
TYPED = {
    "UTF-16 with a mark": (JSON, TEXT.encode("utf-16")),
    "UTF-16, big end first": (JSON, TEXT.encode("utf-16-be")),
    "UTF-16, small end first": (JSON, TEXT.encode("utf-16-le")),
    "UTF-32": (JSON, TEXT.encode("utf-32")),
    "UTF-32, big end first": (JSON, TEXT.encode("utf-32-be")),
    "UTF-7": (JSON, TEXT.encode("utf-7")),
    "UTF-7 that says so": (f"{JSON}; charset=UTF-7", TEXT.encode("utf-7")),
    "EBCDIC that says so": (f"{JSON}; charset=cp037", TEXT.encode("cp037")),
    "a charset in single quotes": (f"{JSON}; charset='utf-8'", DENIED),
    "a charset behind blanks": (f"{JSON}; charset = utf-8", DENIED),
    "an extended charset": (f"{JSON}; charset*=utf-16''x", TEXT.encode("utf-16")),
    "two charsets": (f"{JSON}; charset=utf-8; charset=utf-16", TEXT.encode("utf-16")),
    "Latin-1 that says so": (f"{JSON}; charset=iso-8859-1", DENIED),
    "two types": (f"{JSON}, text/plain", DENIED),
    "two types, the other first": (f"text/plain, {JSON}", DENIED),
    "a semicolon first": (f";{JSON}", DENIED),
    "text/json": ("text/json", DENIED),
    "JSON lines": ("application/x-ndjson", DENIED),
    "bytes": ("application/octet-stream", DENIED),
    "an empty type": ("", DENIED),
    "no type": (None, DENIED),
    "another JSON": ("application/vnd.api+json", DENIED),
    "MessagePack": ("application/msgpack", msgspec.msgpack.encode({"prompt": MARK})),
    "YAML": ("application/yaml", f"prompt: {MARK}\n".encode()),
    "protocol buffers": ("application/x-protobuf", b"\x0a\x0b" + MARK.encode()),
    "a form": (FORM, f"model=m&prompt={MARK}".encode()),
    "a form, escaped": (FORM, b"model=m&prompt=%44ENYME-7f3a"),
    "a form of two charsets": (f"{FORM}; charset=utf-16", f"prompt={MARK}".encode("utf-16")),
    "a form with semicolons": (FORM, f"a=b;prompt={MARK}".encode()),
    "a form of two prompts": (FORM, f"prompt=x&prompt={MARK}".encode()),
    "a form with JSON in it": (FORM, b"data=%7B%22prompt%22%3A%22DENYME-7f3a%22%7D"),
    "parts": (MULTIPART, part("prompt", MARK).encode()),
}

SURROGATE = '{"model":"m","messages":[{"role":"user","content":"DENY\\u%s-7f3a"}]}'
#: JSON, or what some reader takes for it.
WRITTEN: dict[str, str | bytes] = {
    "a name escaped": TEXT.replace("messages", "m\\u0065ssages"),
    "a part's name escaped": TEXT.replace("content", "c\\u006Fntent"),
    "text escaped": TEXT.replace("DENY", "\\u0044\\u0045N\\u0059"),
    "a slash escaped": chat(MARK + "/").decode().replace("/", "\\/"),
    "a name twice, once escaped": BENIGN[:-1] + ', "m\\u0065ssages"' + MESSAGES,
    "a name in another case": BENIGN[:-1] + ', "Messages"' + MESSAGES,
    "a name with a long s": BENIGN[:-1] + ', "me\u017fsages"' + MESSAGES,
    "a part's name twice": TEXT.replace(f'"{MARK}"', f'"x", "content": "{MARK}"'),
    "a part's name in another case": chat([{"type": "text", "text": "x", "Text": MARK}]).decode(),
    "a lone surrogate before": TEXT.replace(MARK, "\\ud800 " + MARK),
    "a lone surrogate within": SURROGATE % "dc00ME",
    "a surrogate in bytes": TEXT.encode().replace(b"DENY", b"DENY\xed\xa0\x80"),
    "a tag within": SURROGATE % "db40\\udc41ME",
    "an overlong letter": TEXT.encode().replace(b"D", b"\xc1\x84"),
    "not a number": TEXT[:-1] + ', "x": NaN}',
    "minus infinity": TEXT[:-1] + ', "x": -Infinity}',
    "a number too large": TEXT[:-1] + ', "x": 1e999}',
    "a number too long": TEXT[:-1] + ', "x": ' + "9" * 5000 + "}",
    "a leading zero": TEXT[:-1] + ', "x": 01}',
    "a leading plus": TEXT[:-1] + ', "x": +1}',
    "a leading dot": TEXT[:-1] + ', "x": .5}',
    "a hex number": TEXT[:-1] + ', "x": 0x1}',
    "a comment": "/*" + "*/" + TEXT,
    "a shell's comment": "#\n" + TEXT,
    "a byte order mark": "\ufeff" + TEXT,
    "a vertical tab": "\x0b" + TEXT,
    "NUL before": "\0" + TEXT,
    "NUL after": TEXT + "\0",
    "a wide blank": "\xa0" + TEXT,
    "a record separator": "\x1e" + TEXT + "\n",
    "a guard against scripts": ")]}'\n" + TEXT,
    "two documents": BENIGN + "\n" + TEXT,
    "a list": f"[{TEXT}]",
    "a string": json.dumps(TEXT),
    "too deep": '{"x":' + "[" * 97 + f'"{MARK}"' + "]" * 97 + "}",
    "single quotes": TEXT.replace('"', "'"),
    "no quotes": TEXT.replace('"model"', "model"),
    "a trailing comma": TEXT[:-1] + ",}",
    "without its end": TEXT[:-1],
    "with two ends": TEXT + "}",
    "a raw line feed": TEXT.replace("DENY", "\nDENY"),
    "an escape of C": TEXT.replace("D", "\\x44"),
    "an escape of nothing": TEXT.replace("D", "\\D"),
}

#: Where text stands.
PLACED = {
    "an object for a part": chat({"type": "text", "text": MARK}),
    "parts within parts": chat([[{"text": MARK}]]),
    "turns by number": asks(messages={"0": {"role": "user", "content": MARK}}),
    "metadata": chat("x", metadata={"a": MARK}),
    "beside the number of no character": chat(f"{MARK} &#{'9' * 5000};"),
    "in an escape of four digits before a letter": chat(MARK.replace("ENY", "\\u0045NY")),
    "a stop sequence": chat("x", stop=[MARK]),
    "a schema": chat("x", response_format={"json_schema": {"schema": {"description": MARK}}}),
    "a prediction": chat("x", prediction={"type": "content", "content": MARK}),
    "three parts": chat([{"type": "text", "text": text} for text in ("DEN", "YME-", "7f3a")]),
    "around an image": chat([
        {"type": "text", "text": "DENYME"}, {"type": "image_url", "image_url": {"url": "a"}},
        {"type": "text", "text": "-7f3a"},
    ]),
    "around an answer": asks(messages=[
        {"role": "user", "content": "DENYME"}, {"role": "assistant", "content": "go on"},
        {"role": "user", "content": "-7f3a"},
    ]),
    "a letter a turn": asks(messages=[{"role": "user", "content": letter} for letter in MARK]),
}  # fmt: skip

NAMED = f'{{"model":"{MODEL}","messages":[]}}'
#: Where the model is named.
MODELS: dict[str, Case] = {
    "in another case": post(NAMED.replace("forb", "FORB")),
    "between blanks": post(NAMED.replace(MODEL, f" {MODEL} ")),
    "by an escaped name": post(NAMED.replace("model", "mod\\u0065l")),
    "in an escape": post(NAMED.replace("forb", "f\\u006frb")),
    "behind another": post('{"model":"m",' + NAMED[1:]),
    "behind another, escaped": post('{"model":"m",' + NAMED[1:].replace("model", "m\\u006fdel")),
    "by a name in another case": post(NAMED.replace("model", "Model")),
    "in a list": post(NAMED.replace(f'"{MODEL}"', f'["{MODEL}"]')),
    "before NUL": post(NAMED.replace(MODEL, MODEL + "\\u0000")),
    "with nothing wide within": post(NAMED.replace("-9", "\u200b-9")),
    "in a text": post(NAMED, kind="text/plain"),
    "in a form": post(f"model={MODEL}", kind=FORM),
    "in a part": post(part("model", MODEL), kind=MULTIPART, path="/v1/audio/transcriptions"),
    "to embed": post(NAMED, path="/v1/embeddings"),
    "in a batch": post(asks(requests=[{"params": {"model": MODEL}}]), path="/v1/messages/batches"),
    "in the path": post('{"contents":[]}', path=f"/v1beta/models/{MODEL}:generateContent"),
    "in the path, of no body": post("", path=f"/v1beta/models/{MODEL}:generateContent"),
    "in the path, escaped": post("{}", path="/v1beta/models/%66orbidden-9:generateContent"),
    "in the path, its colon escaped": post("{}", path=f"/v1beta/models/{MODEL}%3AgenerateContent"),
    "in the path, not in the body": post(
        FINE, path=f"/OpenAI/Deployments/{MODEL}/Chat/Completions/"
    ),
    "in the path, full-width": post(
        "{}", path="/v1beta/models/%ef%bd%86orbidden-9:generateContent"
    ),
}

#: The same request by other ways.
ROUTED: dict[str, Case] = {
    **{f"by {method}": post(DENIED, method=method) for method in ("GET", "PUT", "QUERY", "DELETE")},
    **{
        f"to {path}": post(DENIED, path=path)
        for path in (
            "/V1/CHAT/COMPLETIONS", "/v1//chat//completions", "/v1/./chat/completions/.",
            "/x/y/z/v1/chat/completions/", "/v1/chat/complet%c4%b1ons",
            "/v1/chat/%ef%bd%83ompletions", "/v1/ch%61t/complet%69ons", "/v1/chat/completions//",
        )
    },
    "encoded by a field with an underscore": post(GZ, "Content_Encoding: gzip"),
    "encoded by a field with a dot": post(GZ, "Content.Encoding: gzip"),
    "encoded by a field of another name": post(GZ, "X-Content-Encoding: gzip"),
    "encoded for the transfer": post(base64.b64encode(DENIED), "Content-Transfer-Encoding: base64"),
}  # fmt: skip

REFUSED: dict[str, Case] = {
    **{name: post(body, coding=coding) for name, (coding, body) in CODED.items()},
    **{name: post(body, kind=kind) for name, (kind, body) in TYPED.items()},
    **{name: post(body) for name, body in WRITTEN.items()},
    **{name: post(body) for name, body in PLACED.items()},
    **ROUTED,
}

#: Nothing is wrong with these.
SERVED: dict[str, Case] = {
    "plain": post(FINE),
    "gzip": post(gzip.compress(FINE), coding="gzip"),
    "x-gzip": post(gzip.compress(FINE), coding="X-Gzip"),
    "br": post(brotli.compress(FINE), coding="br"),
    "zstd": post(zstandard.compress(FINE), coding="zstd"),
    "deflate": post(zlib.compress(FINE), coding="deflate"),
    "identity": post(FINE, coding="identity"),
    "two codings": post(gzip.compress(brotli.compress(FINE)), coding="br, gzip"),
    "indented": post(json.dumps(json.loads(FINE), indent=2)),
    "of other scripts": post(json.dumps(json.loads(chat("héllo 你好 😀")), ensure_ascii=False)),
    "of escapes": post(chat("héllo 你好 😀")),
    "with a charset": post(FINE, kind=f'{JSON}; charset="UTF-8"'),
    "with a line end": post(FINE + b"\r\n"),
    "to nobody who reads it": post(GZ, coding="gzip", path="/v1/files"),
}


def test_what_is_denied_in_any_reading_of_a_body_never_arrives(where: Site) -> None:
    assert not_refused(where, REFUSED) == {}


def test_a_denied_model_is_never_asked_however_it_is_named(where: Site) -> None:
    assert not_refused(where, MODELS) == {}


def test_bodies_with_nothing_wrong_arrive_byte_for_byte(where: Site) -> None:
    changed = {}
    for name, found in outcomes(where, SERVED):
        case = SERVED[name]
        assert isinstance(case, bytes)
        sent = case.partition(b"\r\n\r\n")[2]
        if isinstance(found, str) or [reading.body for reading in found.arrived] != [sent]:
            changed[name] = found

    assert changed == {}
