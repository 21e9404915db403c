"""The sidecar with a directory of accounts over HTTP, and an edge that says what it knows."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from gateway_guard.core.credentials import digest
from tests.e2e.clients import Guarded, guarded
from tests.e2e.mock_models import served

pytestmark = pytest.mark.e2e

#: As `tests.e2e.servers.Sidecar` sets it.
SECRET = b"a secret for tests only"
POLICY = """\
version: 1
mode: enforce
identify:
  trusted_proxies: [127.0.0.1/32]
  attributes: { tags: x-account-tags }
rules:
  - { name: banned, when: { account_tag: banned }, then: deny }
  - { name: nobody, when: { tier: unknown, account_tag: unknown }, then: deny }
"""
PATH = "/v1/chat/completions"
ASK = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


class Directory:
    """Knows one key, `sk-known`; answers nobody while `down`."""

    def __init__(self) -> None:
        self.known = digest(SECRET, b"sk-known")
        self.asked: list[str] = []
        self.down = threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        account = scope["path"].rpartition("/")[2]
        self.asked.append(account)
        status = 503 if self.down.is_set() else 200 if account == self.known else 404
        body = json.dumps({"tier": "scale"}).encode() if status == 200 else b""
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def directory() -> Iterator[tuple[Directory, str]]:
    accounts = Directory()
    with served(accounts) as url:
        yield accounts, url


@pytest.fixture(scope="module")
def guard(
    directory: tuple[Directory, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Guarded]:
    flags = ("--accounts", f"{directory[1]}/{{account}}")
    environment = {"GATEWAY_GUARD_ACCOUNTS_BUDGET": "20000", "GATEWAY_GUARD_ACCOUNTS_FRESH": "1000"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        with guarded(tmp_path_factory.mktemp("directory"), POLICY, *flags) as running:
            yield running


def ask(guard: Guarded, key: str, **headers: str) -> int:
    headers = {"authorization": f"Bearer {key}", "x-forwarded-for": "198.51.100.7", **headers}
    with httpx.Client(base_url=guard.url, verify=False) as client:
        return client.post(PATH, json=ASK, headers=headers).status_code


def test_the_directory_is_asked_once_and_its_answer_judged(
    guard: Guarded, directory: tuple[Directory, str]
) -> None:
    answers = [ask(guard, "sk-known") for _ in range(3)]
    stranger = ask(guard, "sk-invented")

    assert (answers, stranger) == ([200, 200, 200], 403)
    assert directory[0].asked.count(directory[0].known) == 1
    assert {line["tier"] for line in guard.decisions(account=directory[0].known)} == {"scale"}


def test_a_header_of_the_edge_is_believed_over_the_directory(guard: Guarded) -> None:
    assert ask(guard, "sk-known", **{"x-account-tags": "banned"}) == 403
    assert ask(guard, "sk-other", **{"x-account-tags": "partner"}) == 200


def test_a_directory_that_is_down_makes_accounts_unknown_and_is_named(
    guard: Guarded, directory: tuple[Directory, str]
) -> None:
    # The last test here: the guard leaves its directory alone for a while afterwards.
    assert ask(guard, "sk-known") == 200
    directory[0].down.set()
    try:
        refused = [ask(guard, f"sk-down-{number}") for number in range(6)]

        assert refused == [403] * 6
        assert guard.decisions()[-2]["degraded"] == ["accounts"]
        ready = httpx.get(f"{guard.admin}/readyz", verify=False).json()
        assert ready["status"] == "degraded"
        assert any("account directory does not answer" in one for one in ready["troubles"])
        page = httpx.get(f"{guard.admin}/metrics", verify=False).text
        failed = re.search(r'account_questions_total{result="failed"} ([0-9.]+)', page)
        assert failed is not None
        assert float(failed[1]) >= 5
        assert "gateway_guard_account_directory_up 0.0" in page
        # Who was known stays known.
        assert ask(guard, "sk-known") == 200
    finally:
        directory[0].down.clear()
