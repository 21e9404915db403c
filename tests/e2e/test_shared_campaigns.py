"""Workers of one host and a linker beside them: real processes that learn together."""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway_guard.campaigns.reviews import Review, Ruling
from gateway_guard.core.credentials import digest
from gateway_guard.streams.post import Post
from tests.e2e.servers import PATIENCE, Sidecar, Upstream
from tests.e2e.test_campaigns import ASKS, SECRET, chat
from tests.processes import Child
from tests.servers import Server, needs_redis, until

pytestmark = [pytest.mark.e2e, needs_redis]


def metric(port: int, name: str) -> dict[str, float]:
    """Values by labels."""
    page = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False, timeout=PATIENCE).text
    found = re.findall(rf"^gateway_guard_{name}(\{{.*\}})? (\S+)$", page, re.MULTILINE)
    return {labels: float(value) for labels, value in found}


def active(port: int) -> float:
    return sum(metric(port, "linker_active").values())


def health(port: int) -> dict[str, Any]:
    url = f"http://127.0.0.1:{port}/healthz"
    found: dict[str, Any] = httpx.get(url, trust_env=False, timeout=PATIENCE).json()
    return found


def test_one_of_the_workers_links_and_a_ban_reaches_them_all(tmp_path: Path) -> None:
    account = digest(SECRET, b"sk-e2e")
    with Server() as server, Upstream({}) as upstream:
        flags = ("--workers=2", f"--store={server.uri}")
        with Sidecar(tmp_path, upstream.url, *flags, policy=ASKS) as sidecar:
            sidecar.all_serve(2)
            until(lambda: active(sidecar.admin) == 1.0, "one worker links")
            until(lambda: len(metric(sidecar.admin, "guards")) == 2, "both are counted")
            assert {chat(sidecar.port) for _ in range(20)} == {200}
            until(
                lambda: metric(sidecar.admin, "linker_learnt_total").get("") == 20.0,
                "it learns what both saw",
            )
            post = Post(server.uri, "gg", SECRET)
            post.review(Review(at=time.time(), ruling=Ruling.BAN, account=account))
            until(lambda: {chat(sidecar.port) for _ in range(8)} == {403}, "both refuse")
            until(lambda: len(post.guards()) == 2, "both have said that they are there")
            listed = post.guards()

    assert len({peer.beat.policy for peer in listed}) == 1


GATEWAY = """
version: 1
mode: enforce
identify: { account: { header: authorization }, trusted_proxies: [127.0.0.1/32] }
rules:
  - { name: campaign-members, when: { campaign: { min: 0.9 } }, then: deny }
"""


def test_a_gateway_that_asks_meets_bans_of_the_store_from_the_first_question_on(
    tmp_path: Path,
) -> None:
    account = digest(SECRET, b"sk-e2e")
    headers = {
        "authorization": "Bearer sk-e2e", "x-original-method": "GET",
        "x-original-uri": "/v1/models", "x-real-ip": "192.0.2.1", "x-forwarded-for": "192.0.2.1",
    }  # fmt: skip

    with Server() as server:
        Post(server.uri, "gg", SECRET).review(
            Review(at=time.time(), ruling=Ruling.BAN, account=account)
        )
        flags = ("--frontend=extauth", f"--store={server.uri}")
        with Sidecar(tmp_path, None, *flags, policy=GATEWAY) as guard:
            url = f"http://127.0.0.1:{guard.port}/auth/nginx"
            answers = [httpx.get(url, headers=headers, trust_env=False) for _ in range(2)]
            assert [answer.status_code for answer in answers] == [403, 403]

            def ready() -> bool:
                said = httpx.get(f"http://127.0.0.1:{guard.admin}/readyz", trust_env=False).json()
                return bool(said["status"] == "ok")

            until(ready, "all is well")


def test_a_linker_of_its_own_relieves_the_sidecars_and_tells_who_is_there(tmp_path: Path) -> None:
    with Server() as server, Upstream({}) as upstream:
        store = f"--store={server.uri}"
        with Sidecar(tmp_path, upstream.url, store, policy=ASKS) as sidecar:
            until(lambda: active(sidecar.admin) == 1.0, "the sidecar links")
            other = tmp_path / "other.yaml"
            other.write_text(ASKS.replace("0.9", "0.8"))
            with Child(
                *(sys.executable, "-m", "gateway_guard", "linker", "--policy", str(other), store),
                *("--admin-port", "0"),
                env={**os.environ, "GATEWAY_GUARD_SECRET": SECRET.decode()},
            ) as linking:
                port = int(linking.wait_for(r"admin on http://127.0.0.1:(\d+)"))
                linking.wait_for("caught up")
                until(lambda: active(sidecar.admin) == 0.0, "the sidecar stands back")
                linker = health(port)["linker"]
                until(lambda: health(port)["guards"], "it hears of one")
                (guard,) = health(port)["guards"]
                differing = metric(port, "guards_other_policy")
                linking.kill()
                until(lambda: active(sidecar.admin) == 1.0, "the sidecar links again")

    assert linker == "active"
    assert guard["same_policy"] is False
    assert differing == {"": 1.0}
