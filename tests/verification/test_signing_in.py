"""Accounts verified by a sign-in at an OpenID provider, which runs here."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import html
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from gateway_guard.guard import Guard
from gateway_guard.types import Action
from gateway_guard.verification.app import VerificationApp
from gateway_guard.verification.openid import REST, SignIn
from tests import build
from tests.verification.visiting import URL, Visitor, challenged, guard_of, link

ISSUER = "https://login.test"
OPENID = f"{{ issuer: '{ISSUER}', client_id: guard, secret_file: provider.key }}"
KEY = ec.generate_private_key(ec.SECP256R1())


class Provider:
    """Signs everybody in as Ada, or as it is told.

    Attributes:
        claims: what its tokens say besides, or otherwise.
        changed: what its configuration says otherwise.
        asked: forms sent to the token endpoint, with their Authorization.
        looked_up: how often its configuration was asked for.
        status: of the token endpoint's answers.
    """

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {}
        self.changed: dict[str, str] = {}
        self.asked: list[dict[str, str]] = []
        self.looked_up = 0
        self.status = 200
        self.key = KEY
        self.nonces: dict[str, str] = {}
        self.app = Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self.configuration),
                Route("/keys", self.keys),
                Route("/token", self.token, methods=["POST"]),
            ]
        )

    async def configuration(self, request: Request) -> JSONResponse:
        self.looked_up += 1
        return JSONResponse(
            {
                "issuer": ISSUER,
                "authorization_endpoint": f"{ISSUER}/authorize?tenant=1",
                "token_endpoint": f"{ISSUER}/token",
                "jwks_uri": f"{ISSUER}/keys",
                **self.changed,
            }
        )

    async def keys(self, request: Request) -> JSONResponse:
        algorithm = jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256)
        key = algorithm.to_jwk(KEY.public_key(), as_dict=True)
        return JSONResponse({"keys": [{**key, "kid": "k1", "alg": "ES256", "use": "sig"}]})

    def authorize(self, where: str) -> str:
        """A visitor signs in; the way back, with a code."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(where).query).items()}
        assert query["tenant"] == "1"
        assert query["scope"] == "openid"
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        code = query["code_challenge"]
        self.nonces[code] = query["nonce"]
        return f"{query['redirect_uri']}?code={code}&state={query['state']}"

    async def token(self, request: Request) -> JSONResponse:
        said = {n: v[0] for n, v in parse_qs((await request.body()).decode()).items()}
        self.asked.append({**said, "authorization": request.headers.get("authorization", "")})
        digest = hashlib.sha256(said["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if said["code"] != challenge or self.status != 200:
            status = 307 if self.status == 307 else 400
            elsewhere = {"location": f"{ISSUER}/token"}
            return JSONResponse({"error": "invalid_grant"}, status, elsewhere)
        claims = {
            "iss": ISSUER, "aud": "guard", "sub": "ada", "nonce": self.nonces[said["code"]],
            "iat": build.NOW, "exp": build.NOW + 60, **self.claims,
        }  # fmt: skip
        claims = {name: value for name, value in claims.items() if value is not None}
        token = jwt.encode(claims, self.key, algorithm="ES256", headers={"kid": "k1"})
        return JSONResponse({"id_token": token, "access_token": "unused", "token_type": "Bearer"})


class Scene:
    """A guard whose visitors sign in."""

    def __init__(self, folder: Path, *, openid: str = OPENID) -> None:
        self.provider = Provider()
        self.guard: Guard = guard_of(folder, form=None, openid=openid)
        self.now = 0.0
        sign_in = SignIn(httpx.ASGITransport(self.provider.app), now=lambda: self.now)
        self.app = VerificationApp(self.guard, sign_in=sign_in)
        self.visitor = Visitor(self.app)

    async def way(self, key: str = "sk-one") -> str:
        """Open the link of that account; where its button leads."""
        page = await self.visitor.http.get(await link(self.guard, key))
        found = re.findall(r'href="(/verify/go[^"]+)"', page.text)[0]
        return f"https://api.test{html.unescape(found)}"

    async def sent(self, key: str = "sk-one") -> str:
        """Click; where the visitor is sent."""
        answer = await self.visitor.http.get(await self.way(key))
        assert answer.status_code == 303
        where: str = answer.headers["location"]
        return where

    async def sign_in(self, key: str = "sk-one") -> httpx.Response:
        """All of it."""
        return await self.visitor.http.get(self.provider.authorize(await self.sent(key)))

    async def passes(self, key: str = "sk-one") -> bool:
        return (await challenged(self.guard, key)).decision.action is Action.ALLOW


def test_whoever_signs_in_verifies_the_account(tmp_path: Path) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path)

        answer = await scene.sign_in()

        assert answer.status_code == 200
        assert "Thank you" in answer.text
        assert await scene.passes()
        (asked,) = scene.provider.asked
        assert asked["redirect_uri"] == f"{URL}/signed-in"
        assert asked["authorization"].startswith("Basic ")
        assert "client_id" not in asked

    asyncio.run(scenario())


def test_a_client_without_a_secret_names_itself(tmp_path: Path) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path, openid=f"{{ issuer: '{ISSUER}', client_id: guard }}")

        answer = await scene.sign_in()

        assert answer.status_code == 200
        assert scene.provider.asked[0]["client_id"] == "guard"
        assert not scene.provider.asked[0]["authorization"]

    asyncio.run(scenario())


def test_one_person_signs_in_for_three_accounts_and_no_link_twice(tmp_path: Path) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path)
        back = scene.provider.authorize(await scene.sent("sk-0"))

        first = await scene.visitor.http.get(back)
        again = await scene.visitor.http.get(back)
        others = [(await scene.sign_in(f"sk-{n}")).status_code for n in (1, 2, 3)]

        assert (first.status_code, again.status_code) == (200, 409)
        assert others == [200, 200, 403]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.test"},
        {"aud": "somebody-else"},
        {"nonce": "of another sign-in"},
        {"nonce": None},
        {"exp": build.NOW - 3_600},
        {"exp": None},
        {"exp": "tomorrow"},
        {"iat": None},
        {"iat": "yesterday"},
        {"iat": build.NOW + 3_600, "exp": build.NOW + 7_200},
        {"sub": None},
        {"sub": ""},
    ],
)
def test_a_token_that_is_not_for_this_sign_in_is_refused(
    tmp_path: Path, claims: dict[str, Any]
) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path)
        scene.provider.claims = claims

        answer = await scene.sign_in()

        assert answer.status_code == 403
        assert "Not verified" in answer.text
        assert not await scene.passes()

    asyncio.run(scenario())


def test_a_token_of_another_key_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path)
        scene.provider.key = ec.generate_private_key(ec.SECP256R1())

        assert (await scene.sign_in()).status_code == 403
        assert not await scene.passes()

    asyncio.run(scenario())


def test_nobody_can_have_another_browser_sign_in_for_their_account(tmp_path: Path) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path)
        mallorys_way = await scene.way()
        mallorys_back = scene.provider.authorize(await scene.sent())
        victim = Visitor(scene.app).http

        clicked = await victim.get(mallorys_way)
        sent_back = await victim.get(mallorys_back)
        await victim.get(await link(scene.guard, "sk-victim"))
        with_a_cookie = await victim.get(mallorys_way)
        cross_site = await scene.visitor.http.get(
            mallorys_way, headers={"sec-fetch-site": "cross-site"}
        )

        for answer in (clicked, sent_back, with_a_cookie, cross_site):
            assert answer.status_code == 403
            assert "came from elsewhere" in answer.text
        assert not await scene.passes()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/go?t=x&g=x", 403),
        ("/go", 403),
        ("/signed-in?code=x&state=x", 403),
        ("/signed-in", 403),
    ],
)
def test_what_is_no_link_leads_nowhere(tmp_path: Path, path: str, status: int) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path)

        assert (await scene.visitor.http.get(f"{URL}{path}")).status_code == status

    asyncio.run(scenario())


def test_who_changes_their_mind_is_not_verified(tmp_path: Path) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path)
        back = scene.provider.authorize(await scene.sent())
        refused = re.sub(r"code=[^&]+", "error=access_denied", back)

        assert (await scene.visitor.http.get(refused)).status_code == 403
        assert (await scene.visitor.http.get(back)).status_code == 200, "they may think again"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "changed",
    [
        {"issuer": "https://evil.test"},
        {"token_endpoint": "http://login.test/token"},
        {"jwks_uri": 7},
        {"token_endpoint": "https://[login.test"},
        {"authorization_endpoint": "https://login.test:port/"},
        {"authorization_endpoint": "javascript://127.0.0.1/%0aalert(1)"},
        {"token_endpoint": "http://127.0.0.1:6379/"},
        {"jwks_uri": "https://localhost:9001/debug/snapshot"},
    ],
)
def test_a_configuration_that_makes_no_sense_is_not_followed(
    tmp_path: Path, changed: dict[str, Any]
) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path)
        scene.provider.changed = changed

        answer = await scene.visitor.http.get(await scene.way())

        assert answer.status_code == 503
        assert scene.app.office.outcomes == {"unavailable": 1}

    asyncio.run(scenario())


def test_while_the_provider_refuses_nothing_changes(tmp_path: Path) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path)
        back = scene.provider.authorize(await scene.sent())
        scene.provider.status = 400

        refused = await scene.visitor.http.get(back)
        scene.provider.status = 200

        assert refused.status_code == 503
        assert (await scene.visitor.http.get(back)).status_code == 200

    asyncio.run(scenario())


def test_a_provider_that_sends_the_guard_elsewhere_is_told_its_secret_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path)
        scene.provider.status = 307

        assert (await scene.sign_in()).status_code == 503
        assert len(scene.provider.asked) == 1

    asyncio.run(scenario())


def test_a_link_asks_the_provider_ten_times_an_hour_at_most(tmp_path: Path) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path)
        back = scene.provider.authorize(await scene.sent())
        guess = re.sub(r"code=[^&]+", "code=a-guess", back)

        found = [(await scene.visitor.http.get(guess)).status_code for _ in range(12)]

        assert found == [503] * 10 + [429] * 2
        assert len(scene.provider.asked) == 10

    asyncio.run(scenario())


def test_a_provider_that_does_not_say_where_to_sign_in_is_left_alone_for_a_while(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        scene = Scene(tmp_path)
        scene.provider.changed = {"issuer": "https://evil.test"}
        way = await scene.way()

        clicks = await asyncio.gather(*(scene.visitor.http.get(way) for _ in range(20)))
        asked = scene.provider.looked_up
        scene.provider.changed = {}
        scene.now += REST
        later = await scene.visitor.http.get(way)

        assert {click.status_code for click in clicks} == {503}
        assert asked == 1
        assert (later.status_code, scene.provider.looked_up) == (303, 2)

    asyncio.run(scenario())


def test_a_form_has_no_sign_in(tmp_path: Path) -> None:
    async def scenario() -> None:
        visitor = Visitor(VerificationApp(guard_of(tmp_path)))

        for path in ("/go?t=x", "/signed-in?code=x"):
            assert (await visitor.http.get(f"{URL}{path}")).status_code == 404

    asyncio.run(scenario())
