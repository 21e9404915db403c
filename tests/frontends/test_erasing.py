"""The dashboard shows nothing of an account that people had erased."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gateway_guard.campaigns.reviews import Review, Ruling
from gateway_guard.frontends.server import Options, Sidecar
from gateway_guard.settings import Settings
from tests import build


def test_what_a_sidecar_keeps_for_its_dashboard_goes_with_an_erasure(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nmode: shadow\n")
    sidecar = Sidecar(
        Options(policy=str(policy), upstream="http://127.0.0.1:9", dashboard=True),
        Settings(secret=build.SECRET),
    )
    watching = sidecar._watching
    assert watching is not None
    for account in ("acct_one", "acct_other"):
        watching.write(build.exchange(request=build.request(account=account)))
    before = len(watching.lines("acct_one"))

    sidecar.guard.standing.heed(Review(at=build.NOW, ruling=Ruling.ERASE, account="acct_one"))

    assert (before, watching.lines("acct_one")) == (1, [])
    assert len(watching.lines("acct_other")) == 1
    asyncio.run(sidecar.guard.close())
    watching.close()
