"""Methods, targets, hosts and fields with a second meaning: refused, or forwarded without it."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from tests.e2e.hostile import Case, Outcome, Site, not_refused, outcomes, site
from tests.e2e.servers import Client
from tests.processes import resident

pytestmark = pytest.mark.e2e


def get(
    target: bytes = b"/v1/x?t={T}", *lines: bytes, method: bytes = b"GET", host: bytes = b"api.test"
) -> bytes:
    fields = b"".join(line + b"\r\n" for line in (b"Host: " + host, *lines, b"X-Tok: {T}"))
    return method + b" " + target + b" HTTP/1.1\r\n" + fields + b"\r\n"


#: Spellings of /admin, or of a path nobody can tell what it is to others.
TARGETS = rb"""
/%61%64%6d%69%6e /%41DMIN/x /aDmIn/x /admin? /admin?? /.//admin /./%2e/admin /admin/%2e /admin/.
/%ef%bc%a1dmin /%ef%bd%81%ef%bd%84min/x /adm%c4%b1n /adm%c4%b0n /%e2%93%90dmin /%f0%9d%90%9admin
/%f0%9d%9a%8a%f0%9d%9a%8dmin
/admin%252f /admin%5c..%5cv1 /v1/%2e%2e%5cadmin /v1/..%5cadmin /v1/..%255cadmin /admin%c0%80
/admin%e0%80%80 /%f0%80%80%af.. /admin%00/x /v1/x%00/../../admin /ad%0dmin /v1/x%0d%0aGET%20/admin
/admin;jsessionid=1 /admin; /;admin /admin%3bx /v1;/../admin /admin%2e /admin.. /admin... /admin%20/
/admin%09/ /admin%c2%a0 /admin%e2%80%8b /admin%c2%ad /admin%ef%bb%bf /v1/x?#/admin /v1/x?a=b#c
/v1/x%3f/../../admin ?/admin /%2f/admin /a/./../admin /v1/.../admin /...//admin /v1/%2e%2e%2e/admin
/v1/.%00./admin /v1/.%09./admin /v1/.;./admin /v1/..%c0%afadmin /v1/..%ef%bc%8fadmin
/v1/%ef%bc%8e%ef%bc%8e/admin /v1/%e2%80%a5/admin /v1/%u002e%u002e/admin /%%61dmin /%6 /% /%zz /%2
/v1/x% /%2525 /%252e /v1/%3Fx //v1/x /// /.. /%2e%2e /v1/x/.. /v1/x/..%00 \admin /\/admin
/v1\admin admin ./admin ../admin * http:/admin http:admin http:// http://api.test/admin
HTTP://API.TEST/admin http://api.test:80/v1/x http://api.test#x http://u@api.test/v1/x
http://u:p@api.test/v1/x http://api.test@evil/v1/x http://api.test:80@evil/v1/x
http://api.test\@evil/v1/x http://api.test%2f/v1/x http://[::1]/v1/x http://evil/v1/x
ftp://api.test/v1/x file:///admin ws://api.test/v1/x http://api.test//admin
http://api.test/v1/../admin http://api.test/%61dmin http://api.test:/v1/x http://api.test:8a/v1/x
http://api.test./v1/x http://api.test,evil/v1/x api.test:80 api.test:443
/admin/../v1/x /admin/..%2fv1/x /admin%2f..%2fv1/x
""".split()
#: The same, of bytes that cannot stand in a list.
RAW_TARGETS = [
    b"/v1/\xc3\xa9", b"/v1/x?q=a b", b"/v1/x?q=a\tb", b"/admin\x7f", b"/v1/\x0bx", b"/v1/x\x00",
    b"/v1/x\rHTTP/1.1", b"http://api.test /v1/x", b"",
]  # fmt: skip

METHODS = b"""
CONNECT TRACE TRACK DEBUG PRI SOURCE M-SEARCH get Get GET\0 G\x0bET GETT GE COPY MOVE BIND REBIND
UNBIND LINK UNLINK DESCRIBE ANNOUNCE PLAY FLUSH _GET GET/admin %47ET "GET" GET,POST GET; POST:
""".split(b" ")

HOSTS = rb"""
api.test:65536 api.test:+80 api.test:-1 api.test:80:80 api.test: :80 . .. a..b .a api.test,evil
api.test;evil api.test\evil u@api.test u:p@api.test http://api.test api.test/ api.test? api.test#
[::1 ::1 [::1]x [v1.x] [fe80::1%25eth0] [] [:] [1] %61pi.test api.test%00 api.test%2f 'api.test'
"api.test" <x> $(x) ${x} {x} * ! ~ a+b a=b
""".split()

REFUSED: dict[str, Case] = {
    **{f"{t!r}": get(t + (b"&" if b"?" in t else b"?") + b"t={T}") for t in TARGETS},
    **{f"{t!r}": get(t) for t in RAW_TARGETS},
    **{f"{m!r}": get(method=m.strip()) for m in METHODS},
    **{f"{h!r}": get(host=h) for h in HOSTS},
    "OPTIONS of all": get(b"*", method=b"OPTIONS"),
    "CONNECT with an authority": get(b"api.test:443", method=b"CONNECT"),
    "a copy of what is judged": get(b"/v1/x?t={T}", b"Destination: /admin", method=b"COPY"),
    "a long host": get(host=b"a" * 300),
    "a host of 8 bits": get(host=b"\xc3\xa9.test"),
    "a host behind a tab": get(host=b"api.test\tevil"),
    "no host": get().replace(b"Host: api.test\r\n", b""),
    **{
        f"beside Host: {name!r}": get(b"/v1/x?t={T}", name + b": evil")
        for name in (b"Host ", b"Host\t", b" Host", b"H\xc3\xb6st", b"HOST", b"Host\xad")
    },
    **{
        f"twice: {name!r}": get(b"/v1/x?t={T}", name + b": a", name.upper() + b": b")
        for name in (b"Host", b"Authorization", b"X-Api-Key", b"Content-Type", b"Content-Length")
    },
}

#: Fields a client cannot speak to the upstream with: about where it comes from, or about another
#: request than was judged.
UNSAID = b"""
X_Forwarded_For X-Forwarded_For X-Forwarded-For- X-Forwarded X-Forwarded-For X-Forwarded-User
X-Forwarded-Prefix X-Forward-For X-Original-Uri X-Original-Path X-Original-Method X-Original-Host
X-Original-Remote-Addr X-Originally-Forwarded-For X-Rewrite-Uri X-Rewrite-Path X-Http-Method
X-Http-Path-Override X-Http-Host-Override X-Method X-Host X-Host-Override X-Url X-Uri Http-Host
X-Envoy-Original-Path X-Envoy-Internal X-Accel-Redirect X-Accel-Mapping X-Sendfile-Type
X-Middleware-Subrequest Script-Name Path-Info Request-Uri Base-Url Forwarded-Host Proxy Forwarded
X-Real-Ip X-Real-Ip-V6_ X-Client-Ip X-Clientip X-Backend-Remote-Addr Incap-Client-IP
X-Sucuri-ClientIP X-NF-Client-Connection-IP Ali-CDN-Real-IP CDN-Src-Ip X-Ip X-Ips X-Source-Ip
CloudFront-Viewer-Address Content.Type Content!Encoding X.Original.URL X^Http^Method^Override
Api.Key Cf.Connecting.Ip True+Client+Ip Te. Expect! Cookie. Authorization_ Content_Length
Transfer_Encoding X-Guard-Action X-Guard-Account X_Guard_Action Keep-Alive TE Trailer Upgrade
Proxy-Connection Proxy-Authorization HTTP2-Settings SCRIPT_NAME PATH_INFO Host. Upgrade!
""".split()

#: What the guard itself says upstream to every request of this test.
OURS = {
    ("x-forwarded-for", "127.0.0.1"), ("x-real-ip", "127.0.0.1"), ("x-forwarded-proto", "http"),
    ("x-forwarded-host", "api.test"), ("x-guard-action", "allow"),
}  # fmt: skip

#: What a client may name in `Connection` without the upstream missing it.
KEPT = {
    "authorization": "Bearer k", "x-api-key": "k", "api-key": "k", "content-type": "a/b",
    "anthropic-version": "1", "cookie": "a=b", "x-forwarded-for": "127.0.0.1",
    "x-real-ip": "127.0.0.1", "x-forwarded-host": "api.test", "x-guard-action": "allow",
}  # fmt: skip
CONNECTIONS = [
    b", ".join(name.encode() for name in KEPT),
    b"close, Authorization, X-API-KEY",
    b"Authorization\t,\tX-API-KEY,,Api-Key",
    b"keep-alive\r\nConnection: authorization\r\nConnection: x-api-key",
    b'"authorization"', b"authorization;x-api-key", b"*", b"x-guard-action, x-real-ip, host",
]  # fmt: skip


def test_what_is_denied_or_read_in_two_ways_never_arrives(where: Site) -> None:
    assert not_refused(where, REFUSED) == {}


def test_a_client_cannot_speak_for_a_proxy(where: Site) -> None:
    cases: dict[str, Case] = {
        name.decode(): get(b"/v1/x?t={T}", name + b": 198.51.100.10") for name in UNSAID
    }

    heard = {}
    for name, found in outcomes(where, cases):
        if isinstance(found, str):
            heard[name] = found
        elif found.arrived:  # refusing is as good
            (arrived,) = found.arrived
            if "198.51.100.10" in str(arrived.headers) or not set(arrived.headers) >= OURS:
                heard[name] = str(arrived)

    assert heard == {}


def test_a_client_cannot_have_removed_what_was_judged(where: Site) -> None:
    sent = [f"{name}: {value}".encode() for name, value in KEPT.items() if name[:2] != "x-"]
    cases: dict[str, Case] = {
        str(value): get(b"/v1/x?t={T}", b"Connection: " + value, *sent, b"X-Api-Key: k")
        for value in CONNECTIONS
    }

    removed = {
        name: found
        for name, found in outcomes(where, cases)
        if isinstance(found, str) or not arrived_with(found, KEPT)
    }

    assert removed == {}


def arrived_with(found: Outcome, fields: dict[str, str]) -> bool:
    return found.arrived != [] and set(found.arrived[0].headers) >= set(fields.items())


def test_names_and_hosts_that_are_never_the_same_take_no_memory(
    tmp_path: Path,
) -> None:
    with site(tmp_path) as where, Client(where.port) as client:
        before = resident(where.sidecar.process.pid)

        for _ in range(1000):
            name = secrets.token_hex(30_000)
            client.send(f"GET /v1/models HTTP/1.1\r\nHost: a\r\nX{name}: 1\r\n\r\n".encode())
            assert client.answer().status == 200

        # Remembered, they would be 120 MB.
        assert resident(where.sidecar.process.pid) - before < 60 << 20
