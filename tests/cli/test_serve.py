"""What `serve` refuses before it starts, and what it says to do instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.run import ROOT, run

MINIMAL = ROOT / "policies" / "minimal.yaml"
BELIEVING = """\
version: 1
identify: { trusted_proxies: [127.0.0.1], client_ip: x-forwarded-for }
"""


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "--upstream is missing"),
        (["--frontend", "envoy"], "write proxy or extauth"),
        (["--frontend", "extauth", "--upstream", "http://127.0.0.1:1"], "forwards nothing"),
        (["--upstream", "http://127.0.0.1:1", "--spoe", "127.0.0.1:0"], "--frontend extauth"),
        (["--upstream", "http://127.0.0.1:1", "--usage-lease", "5"], "--frontend extauth"),
        (["--frontend", "extauth", "--workers", "2", "--usage-lease", "5"], "need one worker"),
        (["--frontend", "extauth"], "need identify.trusted_proxies"),
    ],
)
def test_flags_that_do_not_fit_together_are_named(
    flags: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    ran = run(
        monkeypatch,
        capfd,
        "serve",
        "--policy",
        MINIMAL,
        "--port",
        "0",
        "--admin-port",
        "-1",
        *flags,
    )

    assert ran.code == 3
    assert said in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("address", ["nowhere", ":9002", "127.0.0.1:", "127.0.0.1:x", "h:999999"])
def test_an_address_that_is_none_is_refused(
    address: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(BELIEVING)

    ran = run(
        monkeypatch, capfd, "serve", "--policy", policy, "--port", "0", "--admin-port", "-1",
        "--frontend", "extauth", "--spoe", address,
    )  # fmt: skip

    assert ran.code == 3
    assert "--spoe" in ran.err
