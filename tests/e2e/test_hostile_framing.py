"""Framing: where a request ends, told in ways that parsers differ about. A second reading never
reaches the upstream."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.hostile import Case, Site, not_refused, outcomes

pytestmark = pytest.mark.e2e

ADMIN = b"GET /admin?t={T} HTTP/1.1\r\nHost: api.test\r\n\r\n"
NEXT = b"GET /v1/next?t={T} HTTP/1.1\r\nHost: api.test\r\n\r\n"
END = b"0\r\n\r\n"
HELLO = b"5\r\nhello\r\n" + END
INNER = b"GET /admin HTTP/1.1\r\nHost: a.b\r\n\r\n"
POSTED, EMPTY, GOT = ("POST", b"hello"), ("POST", b""), ("GET", b"")
TWO: dict[str, Any] = {"requests": 2}
CUT: dict[str, Any] = {"cut": True}


def post(*lines: bytes, body: bytes = b"", target: bytes = b"/v1/x?t={T}") -> bytes:
    head = b"".join(line + b"\r\n" for line in (b"Host: api.test", *lines))
    return b"POST " + target + b" HTTP/1.1\r\n" + head + b"\r\n" + body


def chunked(body: bytes, *lines: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked", *lines, body=body)


def length(value: bytes, body: bytes = b"hello") -> bytes:
    return post(b"Content-Length:" + value, body=body)


def coding(value: bytes) -> bytes:
    return post(b"Transfer-Encoding:" + value, body=END + ADMIN)


#: Heads and bodies with two readings: refused, and the connection ends.
REFUSED: dict[str, Case] = {
    # Both framings, the one hidden from some parsers.
    "length in a folded line": post(b"X: a\r\n Content-Length: 5", b"Content-Length: 0"),
    "length after a form feed": post(b"\x0cContent-Length: 46", body=ADMIN),
    "length behind NEL": post(b"X: a\x85Content-Length: 46\r", body=ADMIN),
    "chunked with a parameter": coding(b" chunked; foo=bar"),
    "chunked behind a tab list": coding(b" ,\tchunked"),
    "chunked in brackets": coding(b" (chunked)"),
    "chunked and trailers": coding(b" chunked, trailers"),
    "chunked, cow": coding(b" chunked, cow"),
    "cow then chunked": coding(b" cow, chunked"),
    "chunked cut by NUL": coding(b" chunked\0"),
    "chunked with DEL": coding(b" chunked\x7f"),
    "chunked with ESC": coding(b" \x1bchunked"),
    "chunked with NBSP": coding(b" chunked\xa0"),
    "chunked with a dotless i look": coding(b" chunKed\xc4\xb1"),
    "chunked with Kelvin": coding(b" chun\xe2\x84\xaaed"),
    "deflate over chunked": coding(b" deflate, chunked"),
    "identity alone": coding(b" identity"),
    "no coding at all": coding(b""),
    "coding of blanks": coding(b" \t "),
    "TE of two cases": post(b"transfer-encoding: chunked", b"TRANSFER-ENCODING: identity"),
    "TE behind a CR": post(b"Foo: bar\r\r\nTransfer-Encoding: chunked", body=END + ADMIN),
    "TE with a CR in its name": post(b"Transfer-\rEncoding: chunked", body=END + ADMIN),
    "TE in a name with a colon": post(b"X:Transfer-Encoding : chunked", b"TE :chunked"),
    "TE quoted name": post(b'"Transfer-Encoding": chunked', body=END + ADMIN),
    "TE with a plus": post(b"Transfer+Encoding: chunked", body=END + ADMIN),
    "TE with a bang": post(b"Transfer!Encoding: chunked", body=END + ADMIN),
    "TE with an apostrophe": post(b"Transfer'Encoding: chunked", body=END + ADMIN),
    "CL with a dot": post(b"Content.Length: 46", body=ADMIN),
    "CL with a bang": post(b"Content!Length: 46", body=ADMIN),
    # Lengths.
    "length with a tab inside": length(b" 5\t0"),
    "length with a space inside": length(b" 5 0"),
    "length of words": length(b" five"),
    "length in octal": length(b" 0o5"),
    "length in binary": length(b" 0b101"),
    "length with a comma": length(b" 5,"),
    "length with a leading comma": length(b" ,5"),
    "length with a semicolon": length(b" 5;x"),
    "length quoted": length(b' "5"'),
    "length superscript": length(b" \xb5"),
    "length fullwidth": length(b" \xef\xbc\x95"),
    "length minus zero": length(b" -0"),
    "length of 2^63": length(b" 9223372036854775808"),
    "length of 2^64 and five": length(b" 18446744073709551621"),
    "length of 2^32 and five spelled long": length(b" 00000000000000000000000004294967301"),
    "length behind a NUL": length(b" 5\x005"),
    "length behind a backspace": length(b" 55\x08"),
    "lengths of two spellings": post(b"Content-Length: 5", b"Content-Length: 05", body=b"hello"),
    "lengths, one empty": post(b"Content-Length: 5", b"Content-Length:", body=b"hello"),
    "lengths of two cases": post(b"content-length: 5", b"CONTENT-LENGTH: 0", body=b"hello"),
    # Chunks.
    "chunk size with an underscore": chunked(b"1_0\r\n" + b"a" * 16 + b"\r\n" + END),
    "chunk size with a sign": chunked(b"-5\r\nhello\r\n" + END),
    "chunk size in quotes": chunked(b'"5"\r\nhello\r\n' + END),
    "chunk size with h": chunked(b"5h\r\nhello\r\n" + END),
    "chunk size in 0X": chunked(b"0X5\r\nhello\r\n" + END),
    "chunk size behind a tab": chunked(b"\t5\r\nhello\r\n" + END),
    "chunk size behind a CR": chunked(b"\r5\r\nhello\r\n" + END),
    "chunk size behind CRLF": chunked(b"\r\n5\r\nhello\r\n" + END),
    "chunk size fullwidth": chunked(b"\xef\xbc\x95\r\nhello\r\n" + END),
    "chunk size with NUL": chunked(b"5\0\r\nhello\r\n" + END),
    "chunk size of 2^64 and five": chunked(b"10000000000000005\r\nhello\r\n" + END),
    "chunk size of 2^32 and five, negative": chunked(b"-fffffffb\r\nhello\r\n" + END),
    "chunk size with a comma": chunked(b"5,5\r\nhello\r\n" + END),
    "chunk size ended by LF CR": chunked(b"5\n\rhello\r\n" + END),
    "chunk ended by LF": chunked(b"5\r\nhello\n" + END),
    "chunk ended by CR": chunked(b"5\r\nhello\r" + END),
    "chunk ended by nothing": chunked(b"5\r\nhello" + END),
    "chunk ended by two others": chunked(b"5\r\nhelloab" + END),
    "chunk longer than said": chunked(b"5\r\nhello world\r\n" + END),
    "chunk extension with a bare CR": chunked(b"5;a\rb\r\nhello\r\n" + END),
    "chunk extension with a bare LF": chunked(b"5;a\nb\r\nhello\r\n" + END),
    "chunk extension with NUL": chunked(b"5;a=\0\r\nhello\r\n" + END),
    "chunk extension of a quoted line end": chunked(b'5;a="\r\n0\r\n\r\n' + ADMIN),
    "last chunk by LF": chunked(b"5\r\nhello\r\n0\n\n" + ADMIN),
    "last chunk by CR": chunked(b"5\r\nhello\r\n0\r\r" + ADMIN),
    "last chunk of a minus": chunked(b"5\r\nhello\r\n-0\r\n\r\n" + ADMIN),
    "trailer without a colon": chunked(b"5\r\nhello\r\n0\r\nfoo\r\n\r\n"),
    "trailer with a folded line": chunked(b"5\r\nhello\r\n0\r\nA: b\r\n c\r\n\r\n"),
    "trailer with a bare LF": chunked(b"5\r\nhello\r\n0\r\nA: b\nC: d\r\n\r\n"),
    "trailer with NUL": chunked(b"5\r\nhello\r\n0\r\nA: \0\r\n\r\n"),
    "trailer of a second length": chunked(
        b"0\r\nContent-Length: 46\r\n\r\n" + ADMIN, b"X-Y: 1", b"Connection: close"
    ),
    # Versions.
    "chunked in HTTP/1.0 that keeps alive": post(
        b"Transfer-Encoding: chunked", b"Connection: keep-alive", body=END
    ).replace(b"HTTP/1.1", b"HTTP/1.0"),
    "HTTP/1.2": b"GET /v1/x?t={T} HTTP/1.2\r\nHost: api.test\r\n\r\n",
    "HTTP/0.9 with a head": b"GET /v1/x?t={T} HTTP/0.9\r\nHost: api.test\r\n\r\n",
    "HTTP/1.10": b"GET /v1/x?t={T} HTTP/1.10\r\nHost: api.test\r\n\r\n",
    "HTTP/01.1": b"GET /v1/x?t={T} HTTP/01.1\r\nHost: api.test\r\n\r\n",
    "HTTP/1,1": b"GET /v1/x?t={T} HTTP/1,1\r\nHost: api.test\r\n\r\n",
    "HTTPS/1.1": b"GET /v1/x?t={T} HTTPS/1.1\r\nHost: api.test\r\n\r\n",
    "ICE/1.0": b"SOURCE /v1/x?t={T} ICE/1.0\r\nHost: api.test\r\n\r\n",
    "two versions": b"GET /v1/x?t={T} HTTP/1.1 HTTP/1.1\r\nHost: api.test\r\n\r\n",
}


#: Unusual, and of one reading: what arrives, as method and body.
SERVED: dict[str, tuple[Case, list[tuple[str, bytes]]]] = {
    "coding in upper case": (chunked(HELLO).replace(b"chunked", b"CHUNKED"), [POSTED]),
    "size with zeros": (chunked(b"0000005\r\nhello\r\n" + END), [POSTED]),
    "size in upper case": (chunked(b"A\r\n0123456789\r\n" + END), [("POST", b"0123456789")]),
    "extension": (chunked(b"5;name=value\r\nhello\r\n0;last\r\n\r\n"), [POSTED]),
    "extension quoted": (chunked(b'5;name="a;b"\r\nhello\r\n' + END), [POSTED]),
    "extension like a size": (chunked(b"5;0\r\nhello\r\n" + END), [POSTED]),
    "last chunk of many zeros": (chunked(b"5\r\nhello\r\n00000000\r\n\r\n"), [POSTED]),
    "request in a chunk": (chunked(b"22\r\n" + INNER + b"\r\n" + END), [("POST", INNER)]),
    "trailer of credentials": (chunked(HELLO[:-2] + b"X-Api-Key: y\r\n\r\n"), [POSTED]),
    "trailer of framing": (chunked(HELLO[:-2] + b"Host: evil\r\nTE: b\r\n\r\n"), [POSTED]),
    "length with zeros": (length(b" 0005"), [POSTED]),
    "length 0, and a next": ((post(b"Content-Length: 0") + NEXT, TWO), [EMPTY, GOT]),
    "no length, and a next": ((post() + NEXT, TWO), [EMPTY, GOT]),
    "a body of GET": (length(b" 5").replace(b"POST", b"GET"), [("GET", b"hello")]),
    "a body of HEAD": (
        (length(b" 5").replace(b"POST", b"HEAD"), {"head": True}),
        [("HEAD", b"hello")],
    ),
    "a body of OPTIONS": (length(b" 5").replace(b"POST", b"OPTIONS"), [("OPTIONS", b"hello")]),
    "empty lines first": (b"\r\n\r\n\r\n" + post(), [EMPTY]),
    "another protocol's name": (NEXT.replace(b"HTTP/1.1", b"RTSP/1.0"), [GOT]),
    "expects": (post(b"Expect: 100-Continue", b"Content-Length: 5", body=b"hello"), [POSTED]),
    "expects for nothing": (post(b"Expect: 100-continue", b"Content-Length: 0"), [EMPTY]),
    "expects in HTTP/1.0": (
        length(b" 5\r\nExpect: 100-continue").replace(b"HTTP/1.1", b"HTTP/1.0"),
        [POSTED],
    ),
    "three at once": ((NEXT + length(b" 5") + NEXT, {"requests": 3}), [GOT, POSTED, GOT]),
    "behind one that closes": (length(b" 5\r\nConnection: close") + NEXT, [POSTED]),
    "behind HTTP/1.0": (NEXT.replace(b"HTTP/1.1", b"HTTP/1.0") + ADMIN, [GOT]),
    "behind a refusal": ((ADMIN + NEXT, TWO), [GOT]),
    "behind a refused body": (
        (length(b" %d" % len(INNER), INNER).replace(b"/v1/x", b"/admin") + NEXT, TWO),
        [GOT],
    ),
    "behind refused chunks": ((chunked(HELLO).replace(b"/v1/x", b"/admin") + NEXT, TWO), [GOT]),
    "second head cut": ((NEXT + b"GET /v1/x?t={T} HT", {"cut": True}), [GOT]),
}

#: Nothing of these is a whole request.
NOTHING: dict[str, Case] = {
    "refused, its body unread": length(b" 100000", NEXT).replace(b"/v1/x", b"/admin"),
    "too large, unread": length(b" 10000000", NEXT),
    "too large, a model's, unread": length(b" 10000000", NEXT).replace(
        b"/v1/x", b"/v1/chat/completions"
    ),
    "junk behind a refusal": (ADMIN + b"\0\0\0", TWO),
    "expects twice": post(b"Expect: 100-continue", b"Expect: 100-continue", b"Content-Length: 0"),
    "expects more": post(b"Expect: 100-continue, fire", b"Content-Length: 5", body=b"hello"),
    "expects quoted": post(b'Expect: "100-continue"', b"Content-Length: 5", body=b"hello"),
    "body cut": (length(b" 50"), CUT),
    "chunk cut": (chunked(b"50\r\nhello"), CUT),
    "size cut": (chunked(b"5"), CUT),
    "last chunk cut": (chunked(b"5\r\nhello\r\n0\r\n"), CUT),
    "trailer cut": (chunked(b"5\r\nhello\r\n0\r\nA: b\r\n"), CUT),
    "head cut": (post()[:-2], CUT),
    "line cut": (b"GET /v1/x?t={T}", CUT),
}


def test_what_has_two_readings_is_refused(where: Site) -> None:
    assert not_refused(where, REFUSED) == {}


def test_what_is_no_whole_request_never_arrives(where: Site) -> None:
    assert not_refused(where, NOTHING) == {}


def test_what_has_one_reading_arrives_as_that_and_the_next_is_answered_as_itself(
    where: Site,
) -> None:
    wrong = {}
    for name, found in outcomes(where, {name: case for name, (case, _) in SERVED.items()}):
        wanted = SERVED[name][1]
        if isinstance(found, str) or [(r.method, r.body) for r in found.arrived] != wanted:
            wrong[name] = found

    assert wrong == {}
