"""The admin port refuses what is not authenticated: every route there is, in every way to ask.

The routes are those of the very applications `serve` puts on the port. A new one is tested from the
day it is added, and must refuse as the others do unless it is named among the open ones here.
"""

from __future__ import annotations

import ipaddress
import itertools
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

from gateway_guard.frontends import gathering
from gateway_guard.frontends.access import Access
from gateway_guard.frontends.admin import Health
from gateway_guard.frontends.dashboard.mount import several_guards
from gateway_guard.frontends.gate import LOGIN, STYLE, Gate
from gateway_guard.frontends.server import Options, Sidecar
from gateway_guard.frontends.sessions import COOKIE, Session, sealed
from gateway_guard.settings import Settings
from tests import build

TOKEN, READ = "token-of-reviewers", "token-of-readers-only"
ACCOUNT: Final = "acct_" + "a" * 16
POLICY = """\
version: 1
mode: enforce
default: allow
identify: { trusted_proxies: [10.0.0.0/8] }
"""

#: What tells nothing about anybody, and is asked by programs that have no token.
PROBES: Final = frozenset(("/healthz", "/readyz", "/metrics"))
#: What one must see to sign in.
SIGN_IN: Final = frozenset((LOGIN, STYLE))
#: Ends the visitor's own session and changes nothing else.
LEAVES: Final = "/dashboard/logout"

TOKENS: Final[dict[str, Any]] = {"admin_token": TOKEN, "admin_read_token": READ}
PROXIED: Final[dict[str, Any]] = {"admin_proxies": (ipaddress.ip_network("10.1.2.0/24"),)}
HERE, ANYWHERE = "127.0.0.1", "0.0.0.0"

Way = tuple[str, str]


class Port:
    """One admin port without a network: a listener's address, an application, its routes."""

    def __init__(self, kind: str, folder: Path, host: str, **fields: Any) -> None:
        self.settings = Settings(
            secret=build.SECRET, audit_file=str(folder / "audit"),
            campaigns_file=str(folder / "campaigns"), **fields,
        )  # fmt: skip
        self._host = host
        listener = cast("socket.socket", Listening(host))
        if kind == "workers":
            workers = gathering.Workers(folder)
            inner = gathering.admin_app(workers)
            app: Any = several_guards(listener, inner, workers.sources, self.settings)
        else:
            policy = folder / "policy.yaml"
            policy.write_text(POLICY)
            asked = {"upstream": None, "usage_lease": 60.0}
            given: dict[str, Any] = asked if kind == "asked" else {"upstream": "http://127.0.0.1:9"}
            options = Options(policy=str(policy), dashboard=True, **given)
            self._sidecar = Sidecar(options, self.settings)
            health = Health(self._sidecar.guard, None, self._sidecar)
            snapshot = self._sidecar.instruments.snapshot(health)
            app = self._sidecar.admin_app(listener, health, snapshot)
        assert isinstance(app, Gate)
        self.app = app
        self.ways = list(ways_of(app))

    def ask(
        self, way: Way, *, peer: str = HERE, host: str = "127.0.0.1:9901",
        origin: str | None = None, **headers: str,
    ) -> Any:  # fmt: skip
        """The answer to one way of asking."""
        method, path = way
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named |= {"origin": origin} if origin else {}
        client = TestClient(
            self.app, base_url=f"http://{host}", client=(peer, 5), follow_redirects=False
        )
        body = None if method in ("GET", "HEAD") else b"{}"
        return client.request(method, path, headers=named, content=body)

    def cookie(self, **fields: Any) -> str:
        """A session that the login form would have made."""
        held: dict[str, Any] = {"nonce": "n", "until": time.time() + 3600, "name": "mia",
                                "reviews": True, "signs_in": True} | fields  # fmt: skip
        return f"{COOKIE}={sealed(Session(**held), Access(self.settings, self._host).key)}"


class Listening:
    """As much of a listener as is looked at."""

    family = socket.AF_INET

    def __init__(self, host: str) -> None:
        self._host = host

    def getsockname(self) -> tuple[str, int]:
        return self._host, 9901


def ways_of(gate: Gate) -> Iterator[Way]:
    """Every path with every method it takes, names filled in."""
    for route in gate._app.routes:  # type: ignore[attr-defined]
        assert isinstance(route, Route), f"{route!r}: this test cannot see what is below it"
        path = route.path.replace("{name}", ACCOUNT)
        assert "{" not in path, f"{path}: say here what to fill in"
        for method in sorted(route.methods or ()):
            yield method, path


def closed(port: Port) -> list[Way]:
    return [way for way in port.ways if way[1] not in PROBES]


def writing(port: Port) -> list[Way]:
    return [way for way in port.ways if way[0] not in ("GET", "HEAD")]


@pytest.fixture(params=["forwarding", "asked", "workers"])
def kind(request: pytest.FixtureRequest) -> str:
    """Of one process that forwards, one that gateways ask, and of several workers."""
    return str(request.param)


STRANGERS: Final[dict[str, dict[str, str]]] = {
    "nothing": {},
    "another token": {"authorization": "Bearer token-of-nobody-at-all"},
    "another scheme": {"authorization": f"Basic {TOKEN}"},
    "more than the token": {"authorization": f"Bearer {TOKEN}x"},
    "a forged cookie": {"cookie": f"{COOKIE}=bm90aGluZw.00"},
    "a proxy's word": {"x_forwarded_user": "mia", "x_forwarded_groups": "abuse"},
}


@pytest.mark.parametrize("host", [HERE, ANYWHERE])
def test_where_there_is_a_token_nothing_but_probes_and_the_sign_in_page_is_for_strangers(
    kind: str, host: str, tmp_path: Path
) -> None:
    port = Port(kind, tmp_path, host, **TOKENS)

    strangers = itertools.count(1)
    for what, headers in STRANGERS.items():
        for method, path in closed(port):
            # Each from an address of its own: who is wrong ten times has to wait.
            answer = port.ask((method, path), peer=f"2001:db8:{next(strangers):x}::1", **headers)
            shown = 200 if method in ("GET", "HEAD") else 403
            wanted = shown if path in SIGN_IN else 401
            assert answer.status_code == wanted, (what, method, path)
            assert "set-cookie" not in answer.headers


def test_a_session_that_is_over_or_was_never_signed_in_opens_nothing(
    kind: str, tmp_path: Path
) -> None:
    port = Port(kind, tmp_path, HERE, **TOKENS)
    cookies = [port.cookie(until=time.time() - 1), port.cookie(signs_in=False)]

    answers = [port.ask(way, cookie=one) for one in cookies for way in closed(port)
               if way[1] not in SIGN_IN]  # fmt: skip

    assert {answer.status_code for answer in answers} == {401}


@pytest.mark.parametrize("credential", ["bearer", "session"])
def test_who_may_only_look_changes_nothing(kind: str, credential: str, tmp_path: Path) -> None:
    port = Port(kind, tmp_path, HERE, **TOKENS)
    given = ({"authorization": f"Bearer {READ}"} if credential == "bearer" else
             {"cookie": port.cookie(reviews=False), "origin": "http://127.0.0.1:9901"})  # fmt: skip

    answers = {way: port.ask(way, **given) for way in writing(port) if way[1] != LEAVES}

    assert answers.pop(("POST", f"/dashboard/accounts/{ACCOUNT}")).status_code == 403
    # There is no such campaign.
    assert answers.pop(("POST", f"/dashboard/campaigns/{ACCOUNT}")).status_code in (403, 404)
    assert {answer.status_code for answer in answers.values()} == {403}
    assert not (tmp_path / "audit").exists()


@pytest.mark.parametrize("fields", [{}, TOKENS], ids=["open", "tokens"])
def test_a_page_elsewhere_changes_nothing_with_the_visitor_s_session(
    kind: str, fields: dict[str, Any], tmp_path: Path
) -> None:
    port = Port(kind, tmp_path, HERE, **fields)
    origins = ("http://evil.test", "null", "http://127.0.0.1:9902", "https://127.0.0.1.evil.test")

    answers = [port.ask(way, cookie=port.cookie(), origin=one)
               for one in origins for way in writing(port)]  # fmt: skip

    assert {answer.status_code for answer in answers} == {403}
    assert not (tmp_path / "audit").exists()


@pytest.mark.parametrize("fields", [{}, TOKENS], ids=["open", "tokens"])
def test_a_form_without_the_session_s_own_token_changes_nothing(
    kind: str, fields: dict[str, Any], tmp_path: Path
) -> None:
    port = Port(kind, tmp_path, HERE, **fields)
    forms = [way for way in writing(port) if way[1].startswith("/dashboard")]
    sites: list[dict[str, str]] = [
        {}, {"sec_fetch_site": "same-origin"}, {"sec_fetch_site": "cross-site"}
    ]  # fmt: skip

    answers = [port.ask(way, cookie=port.cookie(), **site) for site in sites for way in forms]

    assert {answer.status_code for answer in answers} <= {403, 404}
    assert not (tmp_path / "audit").exists()


@pytest.mark.parametrize(
    "host", ["evil.test", "evil.test:9901", "127.0.0.1.evil.test", "192.0.2.1"]
)
def test_on_loopback_a_name_that_was_pointed_here_is_not_answered(
    kind: str, host: str, tmp_path: Path
) -> None:
    port = Port(kind, tmp_path, HERE)

    answers = {
        way: port.ask(way, host=host, origin=f"http://{host}" if way[0] == "POST" else None)
        for way in closed(port)
    }

    assert {answer.status_code for answer in answers.values()} == {421}


def test_off_loopback_nothing_is_open_until_somebody_says_who_may(
    kind: str, tmp_path: Path
) -> None:
    port = Port(kind, tmp_path, ANYWHERE)

    answers = [port.ask(way, peer="192.0.2.9", **headers)
               for headers in STRANGERS.values() for way in closed(port)]  # fmt: skip

    assert {answer.status_code for answer in answers} == {403}


def test_only_the_proxy_s_own_address_says_who_somebody_is(kind: str, tmp_path: Path) -> None:
    port = Port(kind, tmp_path, ANYWHERE, **PROXIED)
    named = {"x_forwarded_user": "mia"}
    ways = [way for way in closed(port) if way[1] not in SIGN_IN]

    strangers = [port.ask(way, peer="10.9.9.9", **named) for way in ways]
    looking = [port.ask(way, peer="10.1.2.3", **named) for way in ways if way[0] == "GET"]

    assert {answer.status_code for answer in strangers} == {401}
    assert not {answer.status_code for answer in looking} & {401, 403, 421}


def test_every_route_answers_who_may_come_in_so_that_the_refusals_above_mean_something(
    kind: str, tmp_path: Path
) -> None:
    port = Port(kind, tmp_path, HERE, **TOKENS)

    answers = {way: port.ask(way, authorization=f"Bearer {TOKEN}") for way in port.ways
               if way[1] not in PROBES and way != ("POST", LOGIN)}  # fmt: skip

    assert not {answer.status_code for answer in answers.values()} & {401, 403, 421}


def test_no_other_method_reaches_a_handler(kind: str, tmp_path: Path) -> None:
    port = Port(kind, tmp_path, HERE, **TOKENS)
    paths = {path for _, path in port.ways}
    unused = [(method, path) for path in sorted(paths)
              for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS")
              if (method, path) not in port.ways]  # fmt: skip

    answers = [port.ask(way, authorization=f"Bearer {TOKEN}") for way in unused]

    assert {answer.status_code for answer in answers} == {405}
