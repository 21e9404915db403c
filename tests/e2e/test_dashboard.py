"""The dashboard of a real sidecar: in a real browser, and with several workers."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import httpx
import msgspec
import pytest
from selenium.webdriver import Keys

from gateway_guard.campaigns.snapshot import freeze
from gateway_guard.core.credentials import digest
from gateway_guard.record.snapshots import SnapshotFile
from tests import build
from tests.campaigns import ring
from tests.campaigns.build import learnt
from tests.e2e.browser import Browser, needs_browser
from tests.e2e.servers import PATIENCE, Client, Sidecar, Upstream, get
from tests.e2e.test_campaigns import ASKS, SECRET, chat
from tests.servers import until

pytestmark = pytest.mark.e2e

ACCOUNT = digest(SECRET, b"sk-e2e")
TOKEN = "a token for tests only"
SCREENS: Final[tuple[tuple[Literal["light", "dark"], int], ...]] = (("light", 1280), ("dark", 360))

#: Figures that would be cut off if they were as long as figures get.
_CUT_OFF: Final = """
    const every = [...document.querySelectorAll("dl.figures dd")];
    every.forEach((one) => { one.firstChild.data = "89 minutes"; });
    const found = every.filter((one) => one.scrollWidth > one.clientWidth);
    return found.map((one) => one.textContent);
"""


def denied(port: int, key: str) -> int:
    """The status of a request that the policy refuses."""
    with Client(port) as client:
        return client.send(get("/admin", f"Authorization: Bearer {key}")).answer().status


def seeded(path: Path) -> None:
    """A campaign that was active until a moment ago, as a guard saved it."""
    now = time.time()
    shift = now - 60.0 - (build.NOW + ring.EXCHANGES * ring.HOUR)
    moved = (
        msgspec.structs.replace(seen, at=seen.at + shift, created_at=(seen.created_at or 0) + shift)
        for seen in ring.stream()
    )
    linker = learnt(moved)
    assert list(linker.held) == ["c_0001"]
    SnapshotFile(path).save(freeze(linker, SECRET, saved_at=now))


def page(port: int, path: str = "/dashboard") -> str:
    answer = httpx.get(f"http://127.0.0.1:{port}{path}", trust_env=False, timeout=PATIENCE)
    assert answer.status_code == 200, answer.text
    return answer.text


def exchanges(port: int) -> int:
    """What the first figure of the overview says."""
    found = re.search(r"<dt>Exchanges</dt><dd>(\d+)", page(port))
    assert found is not None
    return int(found[1])


def decide(port: int, path: str, **fields: str) -> httpx.Response:
    """Fill in the form on a page and send it, as a browser does."""
    base = f"http://127.0.0.1:{port}"
    with httpx.Client(base_url=base, trust_env=False, timeout=PATIENCE) as client:
        form = re.search(r'name="form" value="([0-9a-f]+)"', client.get(path).text)
        assert form is not None
        return client.post(path, data={"form": form[1], **fields}, headers={"origin": base})


def verified(audit: Path) -> subprocess.CompletedProcess[str]:
    """What `audit verify` makes of a file."""
    return subprocess.run(
        [sys.executable, "-m", "gateway_guard", "audit", "verify", "--file", str(audit)],
        env={"GATEWAY_GUARD_SECRET": SECRET.decode()}, capture_output=True, text=True, check=False,
        timeout=PATIENCE,
    )  # fmt: skip


@pytest.fixture
def sidecar(tmp_path: Path) -> Iterator[Sidecar]:
    """One that holds a campaign, and has seen a few requests."""
    campaigns = tmp_path / "campaigns"
    seeded(campaigns)
    flags = (f"--campaigns-file={campaigns}", f"--decision-log={tmp_path / 'log'}")
    with (
        Upstream({}) as upstream,
        Sidecar(tmp_path, upstream.url, *flags, policy=ASKS) as sidecar,
    ):
        assert [chat(sidecar.port) for _ in range(3)] == [200] * 3
        assert [denied(sidecar.port, key) for key in ("sk-e2e", "sk-<b>")] == [403] * 2
        until(lambda: exchanges(sidecar.admin) == 5, "all are counted")
        yield sidecar


@needs_browser
def test_an_analyst_reads_bans_and_releases_on_any_screen_without_a_mouse(
    sidecar: Sidecar, browser: Browser, tmp_path: Path
) -> None:
    base = f"http://127.0.0.1:{sidecar.admin}/dashboard"

    reads_all_pages(browser, base)
    bans(browser, base)
    until(lambda: chat(sidecar.port) == 403, "the running guard refuses")
    releases(browser, base)
    until(
        lambda: "released by a reviewer" in page(sidecar.admin, "/dashboard/campaigns"),
        "it is released",
    )

    browser.open(f"{base}/audit")
    assert "2 entries, whole" in browser.text()
    assert browser.complaints() == []
    done = verified(tmp_path / "campaigns.audit")
    assert (done.returncode, "2 entries, whole" in done.stdout) == (0, True)


def reads_all_pages(browser: Browser, base: str) -> None:
    """Nothing is cut off, refused by the CSP or missing."""
    pages = {
        "overview": f"{base}?still", "accounts": f"{base}/accounts",
        "account": f"{base}/accounts/{ACCOUNT}", "campaigns": f"{base}/campaigns",
        "campaign": f"{base}/campaigns/c_0001", "audit": f"{base}/audit",
    }  # fmt: skip
    for scheme, width in SCREENS:
        browser.scheme(scheme)
        browser.size(width)
        for name, url in pages.items():
            browser.open(url)
            browser.find("h1")
            assert browser.fits(), f"{name} at {width}"
            assert browser.complaints() == [], name
            browser.screenshot(f"dashboard-{name}-{width}-{scheme}")
    browser.open(pages["campaign"])
    assert len(browser.all("svg .member")) == ring.MEMBERS
    assert "Payment instrument" in browser.text()
    # Just wide enough for three in a row.
    browser.size(405)
    assert browser.run(_CUT_OFF) == []
    browser.open(pages["account"])
    tree = browser.find(".tree").text
    assert "no-admin" in tree
    assert "deny 403" in tree


def arrives(browser: Browser, pattern: str) -> None:
    """Wait until the address is one: what is pressed before that may reach the page before."""
    browser.wait(lambda: re.search(pattern, browser.driver.current_url), f"at {pattern}")


def sign_in(browser: Browser, token: str) -> None:
    """Fill in the form and send it."""
    browser.find("[name=name]").send_keys("mia")
    browser.find("[name=token]").send_keys(token)
    browser.find("button.main").click()


def tab_to(browser: Browser, name: str) -> None:
    """Press Tab until what has the focus is called `name`."""
    for _ in range(200):
        browser.press(Keys.TAB)
        focus = browser.run(
            "const e = document.activeElement; return [e.name, e.value, e.textContent.trim()]"
        )
        if name in focus:
            return
    raise AssertionError(f"no way to {name} by Tab")


def bans(browser: Browser, base: str) -> None:
    """From the first page to the ban of an account."""
    browser.open(f"{base}?still")
    tab_to(browser, "Skip to the content")
    tab_to(browser, "Accounts")
    browser.press(Keys.ENTER)
    arrives(browser, r"/accounts$")
    tab_to(browser, "q")
    browser.press(ACCOUNT, Keys.ENTER)
    arrives(browser, f"/accounts/{ACCOUNT}$")
    tab_to(browser, "reason")
    browser.press("stolen card <script>alert(1)</script>")
    tab_to(browser, "by")
    # Enter in a field decides nothing.
    browser.run(
        "window.sent = 0; document.querySelector('form.act').addEventListener('submit', "
        "() => { window.sent += 1; })"
    )
    browser.press("mia", Keys.ENTER)
    assert browser.run("return window.sent") == 0
    tab_to(browser, "ban")
    browser.press(Keys.ENTER)
    browser.wait(lambda: "Banned: each of its requests" in browser.text(), "the ban is confirmed")
    assert "stolen card <script>alert(1)</script>" in browser.text()


def releases(browser: Browser, base: str) -> None:
    """The campaign; who does was remembered."""
    browser.open(f"{base}/campaigns/c_0001")
    tab_to(browser, "reason")
    browser.press("a class of students")
    tab_to(browser, "release")
    browser.press(Keys.ENTER)
    # It shows the campaign with a word, or no longer has it.
    arrives(browser, r"done=release|/campaigns(#.*)?$")


def test_who_is_banned_on_a_guard_that_nobody_has_asked_is_so_before_the_first_request(
    tmp_path: Path,
) -> None:
    with (
        Upstream({}) as upstream,
        Sidecar(
            tmp_path, upstream.url, f"--campaigns-file={tmp_path / 'campaigns'}", policy=ASKS
        ) as sidecar,
    ):
        there = f"/dashboard/accounts/{ACCOUNT}"
        done = decide(sidecar.admin, there, ruling="ban", by="mia", reason="stolen card")
        assert done.status_code == 303

        until(lambda: 'class="pill bad">banned' in page(sidecar.admin, there), "it is in force")
        assert ACCOUNT in page(sidecar.admin, "/dashboard/accounts")
        assert chat(sidecar.port) == 403


@needs_browser
def test_a_browser_signs_in_and_out(
    tmp_path: Path, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_GUARD_ADMIN_TOKEN", TOKEN)
    with (
        Upstream({}) as upstream,
        Sidecar(tmp_path, upstream.url, "--admin-host=0.0.0.0") as sidecar,
    ):
        base = f"http://127.0.0.1:{sidecar.admin}"
        probe = httpx.get(f"{base}/readyz", trust_env=False, timeout=PATIENCE)
        stranger = httpx.get(f"{base}/dashboard", trust_env=False, timeout=PATIENCE)

        browser.open(f"{base}/dashboard")
        browser.screenshot("dashboard-login-1280-light")
        sign_in(browser, "not the token of ours")
        browser.wait(lambda: "That is not the token" in browser.text(), "it is refused")
        sign_in(browser, TOKEN)
        browser.wait(lambda: "mia, may review" in browser.text(), "signed in")
        cookies = browser.driver.get_cookies()
        browser.find("button.plain").click()
        arrives(browser, r"/login$")
        browser.open(f"{base}/dashboard")
        browser.find("[name=token]")

    assert (probe.status_code, stranger.status_code) == (200, 401)
    assert [(c["httpOnly"], c["sameSite"]) for c in cookies] == [(True, "Strict")]


def test_one_dashboard_shows_and_tells_all_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = tmp_path / "audit"
    monkeypatch.setenv("GATEWAY_GUARD_AUDIT_FILE", str(audit))
    flags = ("--workers=2", "--allow-split-limits")
    with Upstream({}) as upstream, Sidecar(tmp_path, upstream.url, *flags, policy=ASKS) as sidecar:
        sidecar.all_serve(2)
        assert {chat(sidecar.port) for _ in range(12)} == {200}
        until(lambda: exchanges(sidecar.admin) == 12, "what both saw is one figure")
        overview = page(sidecar.admin)
        done = decide(sidecar.admin, f"/dashboard/accounts/{ACCOUNT}", ruling="ban", by="mia",
                      reason="stolen card")  # fmt: skip
        assert (done.status_code, done.headers["location"][-15:]) == (303, "done=ban#decide")
        refused = {chat(sidecar.port) for _ in range(12)}
        account = page(sidecar.admin, f"/dashboard/accounts/{ACCOUNT}")

    assert "worker 0: limits" in overview
    assert "worker 1: limits" in overview
    assert refused == {403}
    assert "campaign-members" in account
    assert "stolen card" in account
    assert verified(audit).returncode == 0
