"""Verification with the real sidecar: refused with a link, the link visited, let through."""

from __future__ import annotations

import http.client
import json
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from selenium.webdriver import Keys

from gateway_guard.core.callbacks import sign
from tests.e2e.browser import Browser, needs_browser
from tests.e2e.servers import Sidecar, Upstream, run
from tests.e2e.verification import CODES, FORM, POLICY, chat, link_of, verifying
from tests.servers import Server, needs_redis, until

pytestmark = pytest.mark.e2e

KEY = b"shared with the provider, 32 byte"


class Visitor:
    """Somebody without a browser: one cookie jar, one form at a time."""

    def __init__(self, url: str, *, host: str | None = None) -> None:
        parts = urlsplit(url)
        self.host, self.path = host or parts.netloc, f"{parts.path}?{parts.query}"
        self.cookie = ""

    def ask(self, method: str, path: str, body: str = "", **headers: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection(self.host, timeout=20)
        headers = {"Cookie": self.cookie, **headers}
        if body:
            headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
        try:
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            self.cookie = (answer.headers["set-cookie"] or self.cookie).partition(";")[0]
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def verify(self, code: str = CODES[0]) -> tuple[int, str]:
        """Open the link, fill in the form."""
        status, text = self.ask("GET", self.path)
        if status != 200:
            return status, text
        fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]+)"', text))
        fields |= {"accept0": "yes", "accept1": "yes", "code": code}
        return self.ask("POST", "/verify", urlencode(fields))


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """One for all tests that bring accounts and a code of their own."""
    with verifying(tmp_path_factory.mktemp("sidecar")) as one:
        yield one


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_visitor_verifies_an_account_by_keyboard_on_a_small_screen(
    sidecar: Sidecar, browser: Browser, scheme: str
) -> None:
    refused = chat(sidecar.port, f"sk-{scheme}")
    browser.size(360)
    browser.scheme("dark" if scheme == "dark" else "light")

    browser.open(link_of(refused))
    browser.find("#code")
    assert browser.fits()
    browser.screenshot(f"verification-{scheme}-360")
    browser.press(Keys.TAB, CODES[0].upper(), Keys.TAB, Keys.SPACE, Keys.TAB, Keys.SPACE)
    browser.press(Keys.ENTER)
    browser.wait(lambda: "Verified" in browser.text(), "the account is verified")

    assert refused.status == 403
    assert json.loads(refused.body)["error"]["verification_url"] == link_of(refused)
    assert browser.fits()
    assert browser.complaints() == []
    assert chat(sidecar.port, f"sk-{scheme}").status == 200
    assert chat(sidecar.port, f"sk-not-{scheme}").status == 403


@needs_browser
def test_a_wrong_code_is_told_and_no_other_page_can_frame_the_form(
    sidecar: Sidecar, browser: Browser
) -> None:
    link = link_of(chat(sidecar.port))

    browser.open(link)
    browser.find("#code").send_keys("nobody-gave-me-one")
    for box in browser.all("input[type=checkbox]"):
        box.click()
    browser.find("button").click()
    trouble = browser.find("[role=alert]").text
    browser.screenshot("verification-wrong-code-1280")
    browser.open("about:blank")
    browser.run(f"document.body.innerHTML = '<iframe src=\"{link}\"></iframe>'")
    browser.driver.switch_to.frame(0)
    framed = browser.wait(
        lambda: browser.all("#main-frame-error") or browser.all("#code"), "something is framed"
    )[0].get_attribute("id")

    assert trouble == "That is not a code we handed out."
    assert framed == "main-frame-error"
    assert chat(sidecar.port).status == 403


def test_each_link_works_once_and_for_its_own_account(sidecar: Sidecar) -> None:
    mine, other = chat(sidecar.port, "sk-mine"), chat(sidecar.port, "sk-other")
    visitor = Visitor(link_of(mine))

    first = visitor.verify(CODES[1])
    again = visitor.verify(CODES[1])

    assert first[0] == 200
    assert again[0] == 409
    assert "works once" in again[1]
    assert chat(sidecar.port, "sk-mine").status == 200
    assert chat(sidecar.port, "sk-other").status == 403
    assert link_of(mine) != link_of(other)


def test_one_code_verifies_three_accounts_and_the_fourth_needs_its_own(sidecar: Sidecar) -> None:
    links = [link_of(chat(sidecar.port, f"sk-{number}")) for number in range(4)]

    found = [Visitor(link).verify(CODES[2])[0] for link in links]
    with_another = Visitor(links[3]).verify(CODES[3])[0]

    assert found == [200, 200, 200, 403]
    assert with_another == 200


def test_every_dialect_is_told_where_to_verify(sidecar: Sidecar) -> None:
    openai = chat(sidecar.port)
    anthropic = chat(sidecar.port, path="/v1/messages")

    for answer in (openai, anthropic):
        assert answer.status == 403
        assert link_of(answer).startswith(f"http://127.0.0.1:{sidecar.port}/verify?t=")
        assert link_of(answer) in answer.headers["link"]
        assert link_of(answer).encode() in answer.body
        assert answer.headers["x-should-retry"] == "false"


def test_visitors_are_received_apart_from_requests_where_that_is_asked(tmp_path: Path) -> None:
    with verifying(tmp_path, "--verify", "127.0.0.1:0") as sidecar:
        link = link_of(chat(sidecar.port))
        status, _ = Visitor(link).verify()
        beside = Visitor(f"http://127.0.0.1:{sidecar.port}/verify?t=x").ask("GET", "/verify?t=x")

        assert f":{sidecar.port}/" not in link
        assert status == 200
        assert "ok" in beside[1]  # as any request: it went on to the upstream
        assert chat(sidecar.port).status == 200


def test_a_verified_account_outlives_the_process_and_a_person_may_challenge_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_GUARD_SECRET", "a secret for tests only")
    kept = str(tmp_path / "campaigns.gg")
    flags = ("--campaigns-file", kept)
    with verifying(tmp_path, *flags) as sidecar:
        assert Visitor(link_of(chat(sidecar.port))).verify()[0] == 200

    with verifying(tmp_path, *flags) as sidecar:
        after = chat(sidecar.port)
        account = re.findall(r'"account":"(acct_\w+)"', Path(f"{kept}.reviews").read_text())[0]
        words = ("account", "challenge", account, "--reason", "seen again", "--file", kept)
        said = run(*words, "--by", "ann")

        assert after.status == 200
        assert "challenged until" in said.stdout, said.stderr
        until(lambda: chat(sidecar.port).status == 403, "the account is challenged again")


class Provider:
    """The operator's own page: says that whoever comes is Ada, and sends them back."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = parse_qs(urlsplit(self.path).query)
                back = query["return"][0]
                said = {"state": query["state"][0], "subject": "ada", "verified": True}
                outer.tell(back, said)
                self.send_response(303)
                self.send_header("location", back)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Not to the screen."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/start"

    def tell(
        self, back: str, said: dict[str, object], *, key: bytes = KEY, at: float | None = None
    ) -> int:
        """Call the guard back; the status of its answer."""
        parts = urlsplit(back)
        body = json.dumps(said).encode()
        moment = int(time.time() if at is None else at)
        headers = {
            "webhook-id": f"msg_{len(self.answers)}",
            "webhook-timestamp": str(moment),
            "webhook-signature": sign(key, f"msg_{len(self.answers)}", moment, body),
        }
        connection = http.client.HTTPConnection(parts.netloc, timeout=20)
        try:
            connection.request("POST", "/verify/callback", body, headers)
            answer = connection.getresponse()
            self.answers.append((answer.status, answer.read()))
            return answer.status
        finally:
            connection.close()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join(20)
        self.server.server_close()


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    one = Provider()
    yield one
    one.close()


@pytest.fixture(scope="module")
def sending(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """A sidecar that sends visitors on to the provider."""
    folder = tmp_path_factory.mktemp("sending")
    (folder / "provider.key").write_bytes(KEY)
    how = f"  provider: {{ url: '{provider.url}', key_file: provider.key }}\n"
    with verifying(folder, how=how) as one:
        yield one


@needs_browser
def test_a_provider_says_who_it_was_and_the_visitor_comes_back_verified(
    sending: Sidecar, provider: Provider, browser: Browser
) -> None:
    before = len(provider.answers)

    browser.open(link_of(chat(sending.port, "sk-visitor")))
    browser.screenshot("verification-provider-1280")
    browser.find("a.button").click()
    browser.wait(lambda: "Verified" in browser.text(), "the visitor comes back")

    assert provider.answers[before:] == [(200, b'{"status":"verified"}')]
    assert chat(sending.port, "sk-visitor").status == 200


def test_a_callback_counts_once_and_only_with_the_providers_signature(
    sending: Sidecar, provider: Provider
) -> None:
    link = link_of(chat(sending.port))
    visitor = Visitor(link)
    _, text = visitor.ask("GET", visitor.path)
    state = re.findall(r"state=([\w-]+)", text)[0]
    said: dict[str, object] = {"state": state, "subject": "ada", "verified": True}

    forged = provider.tell(link, said, key=b"somebody else's key, long enough")
    stale = provider.tell(link, said, at=time.time() - 3_600)
    visit = provider.tell(link, {**said, "state": link.partition("t=")[2]})
    before = chat(sending.port).status
    good = provider.tell(link, said)
    replayed = provider.tell(link, said)

    assert (forged, stale, visit, before) == (401, 401, 403, 403)
    assert (good, replayed) == (200, 409)
    assert chat(sending.port).status == 200


@needs_redis
def test_any_worker_receives_the_visitor_and_all_know_what_came_of_it(tmp_path: Path) -> None:
    (tmp_path / "codes.txt").write_text("\n".join(CODES))
    policy = POLICY.format(port=1, how=FORM)
    with Server() as server, Upstream() as upstream:
        flags = ("--workers=2", f"--store={server.uri}")
        with Sidecar(tmp_path, upstream.url, *flags, policy=policy) as sidecar:
            sidecar.all_serve(2)
            visitor = Visitor(link_of(chat(sidecar.port)), host=f"127.0.0.1:{sidecar.port}")

            first = visitor.verify()[0]
            again = {visitor.verify()[0] for _ in range(8)}

            assert (first, again) == (200, {409})
            until(
                lambda: {chat(sidecar.port).status for _ in range(8)} == {200}, "both workers know"
            )


def test_the_page_is_no_part_of_the_admin_port(sidecar: Sidecar) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", sidecar.admin, timeout=20)
    connection.request("GET", "/verify?t=x")

    status = connection.getresponse().status
    connection.close()

    assert status == 404
