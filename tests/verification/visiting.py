"""A guard that verifies accounts, and visitors of its page, in this process."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx

from gateway_guard.building import build_guard
from gateway_guard.core.callbacks import sign
from gateway_guard.guard import Guard
from gateway_guard.policy.compile import compile_policy
from gateway_guard.settings import Settings
from gateway_guard.types import Exchange
from gateway_guard.verification.app import VerificationApp
from tests import build

CODE = "k7rm-2qpw-x9td"
KEY = b"shared with the provider, 32 byte"
URL = "https://api.test/verify"
FORM = "{ accept: [I am a person], codes_file: codes.txt }"
PROVIDER = "{ url: 'https://kyc.test/start?client=guard', key_file: provider.key }"


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = build.NOW

    def __call__(self) -> float:
        return self.now


def guard_of(
    folder: Path, *, form: str | None = FORM, provider: str | None = None,
    openid: str | None = None, more: str = "",
    rules: str = "[{ name: everybody, then: challenge }]", clock: Clock | None = None,
    url: str = URL,
    **options: Any,
) -> Guard:  # fmt: skip
    """A guard that challenges everybody, and verifies by a form with one code."""
    (folder / "codes.txt").write_text(CODE)
    (folder / "provider.key").write_bytes(KEY)
    how = (
        f"provider: {provider}" if provider else f"openid: {openid}" if openid else f"form: {form}"
    )
    text = f"""\
version: 1
mode: enforce
verification:
  url: {url}
  {how}
{more}
rules: {rules}
"""
    policy = compile_policy(text.encode(), str(folder / "policy.yaml"))
    settings = Settings(secret=build.SECRET, **options)
    return build_guard(policy, settings=settings, clock=clock or Clock())


async def challenged(guard: Guard, key: str = "sk-one") -> Exchange:
    """A request of one account, decided."""
    return await guard.decide(build.wire(key=key))


async def link(guard: Guard, key: str = "sk-one") -> str:
    """The link that its refusal holds."""
    exchange = await challenged(guard, key)
    assert exchange.decision.challenge_url is not None
    return exchange.decision.challenge_url


class Visitor:
    """One browser, as far as forms and cookies go."""

    def __init__(self, app: VerificationApp, *, peer: str = "203.0.113.9") -> None:
        transport = httpx.ASGITransport(app, client=(peer, 50_000))
        self.http = httpx.AsyncClient(transport=transport)

    async def fields(self, url: str) -> dict[str, str]:
        """Open a link; what the form there would send along unseen, and everything ticked."""
        page = await self.http.get(url)
        assert page.status_code == 200, page.text
        found = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]+)"', page.text))
        return found | {"accept0": "yes", "code": CODE}

    async def verify(self, url: str, **changed: str) -> httpx.Response:
        """Open a link and fill in the form."""
        return await self.send(await self.fields(url) | changed)

    async def send(self, fields: dict[str, str], **headers: str) -> httpx.Response:
        """Send the form."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post(URL, data=fields, headers=names)


def callback(body: bytes, *, at: float = build.NOW, key: bytes = KEY) -> dict[str, Any]:
    """What a provider sends: arguments of a `post`."""
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at)),
        "webhook-signature": sign(key, "msg_1", int(at), body),
    }
    return {"url": f"{URL}/callback", "content": body, "headers": headers}
