"""The examples of verification do what their README says."""

from __future__ import annotations

import asyncio
import importlib
import re
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway_guard import GuardMiddleware, VerificationApp
from tests import build

EXAMPLES = Path(__file__).parent.parent.parent / "examples" / "verification"
KEY = {"authorization": "Bearer sk-test"}
CHAT = "http://127.0.0.1:8080/v1/chat/completions"


def browser(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app))


async def ask(app: Any) -> httpx.Response:
    """One request to the model."""
    async with browser(app) as client:
        headers = {**KEY, "content-type": "application/json"}
        return await client.post(CHAT, content=build.chat_body(), headers=headers)


def hidden(page: str) -> dict[str, str]:
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]+)"', page))


def test_a_check_of_ones_own_lets_the_invited_pass() -> None:
    app = importlib.import_module("examples.verification.app").app

    async def scenario() -> None:
        link = (await ask(app)).headers["x-guard-challenge-url"]
        found = []
        async with browser(app) as client:
            for who in ("mallory@example.com", "Ada@Example.com "):
                fields = hidden((await client.get(link)).text)
                fields |= {"accept0": "yes", "field0": who}
                answer = await client.post("http://127.0.0.1:8080/verify", data=fields)
                found.append(answer.status_code)

        assert found == [403, 200]
        assert (await ask(app)).status_code == 200

    asyncio.run(scenario())


def test_a_provider_of_ones_own_tells_the_guard_who_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = importlib.import_module("examples.verification.provider")
    inner = importlib.import_module("examples.verification.app").model
    policy = Path(shutil.copy(EXAMPLES / "policy-provider.yaml", tmp_path))
    (tmp_path / "provider.key").write_text("ab" * 32)
    guarded = GuardMiddleware(inner, policy=policy)
    app = VerificationApp(guarded.guard, guarded)
    monkeypatch.setattr(provider, "KEY_FILE", tmp_path / "provider.key")
    monkeypatch.setattr(provider, "http", browser(app))

    async def scenario() -> None:
        link = (await ask(app)).headers["x-guard-challenge-url"]
        async with browser(app) as client, browser(provider.app) as theirs:
            page = (await client.get(link)).text
            start = re.findall(r'href="([^"]+/start[^"]+)"', page)[0].replace("&amp;", "&")
            form = hidden((await theirs.get(start)).text)
            elsewhere = await theirs.post(
                start, data={**form, "who": "ada", "return": "https://evil.test/done?"}
            )
            sent = await theirs.post(start, data={**form, "who": "ada"})
            back = await client.get(sent.headers["location"])

        assert elsewhere.status_code == 400
        assert sent.status_code == 303
        assert "Thank you" in back.text
        assert (await ask(app)).status_code == 200

    asyncio.run(scenario())
