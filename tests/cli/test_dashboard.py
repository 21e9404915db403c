"""`gateway-guard serve --dashboard`: nothing is open to everybody who can connect."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.run import run

POLICY = "version: 1\nmode: shadow\nidentify: { trusted_proxies: [127.0.0.1/32] }\n"


@pytest.mark.parametrize(
    ("flags", "what"),
    [
        (["--dashboard", "--upstream", "http://127.0.0.1:1"], "the dashboard on 0.0.0.0"),
        (["--frontend", "extauth", "--usage-lease", "5"], "POST /v1/usage on 0.0.0.0"),
    ],
)
def test_elsewhere_than_on_loopback_it_needs_authentication(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    flags: list[str],
    what: str,
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)

    ran = run(monkeypatch, capfd, "serve", "-p", policy, "--admin-host", "0.0.0.0", *flags)

    assert ran.code == 3
    assert f"{what} would be open to everybody" in ran.err
    assert "GATEWAY_GUARD_ADMIN_TOKEN" in ran.err
    assert "--admin-host" in ran.err
