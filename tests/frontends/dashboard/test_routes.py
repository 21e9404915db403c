"""The dashboard over HTTP: who sees what, which forms count, and what they leave behind."""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from gateway_guard.campaigns.report import report_of
from gateway_guard.campaigns.reviews import Review, Ruling
from gateway_guard.campaigns.roster import Asked
from gateway_guard.errors import SourceError
from gateway_guard.frontends.access import Access
from gateway_guard.frontends.dashboard import routes
from gateway_guard.frontends.dashboard.desk import Desk
from gateway_guard.frontends.dashboard.routes import HEADERS, Dashboard
from gateway_guard.frontends.dashboard.sources import Source
from gateway_guard.frontends.dashboard.views import (
    AccountPart,
    Campaigns,
    CampaignView,
    State,
)
from gateway_guard.frontends.gate import Gate
from gateway_guard.record.audit import Audit
from gateway_guard.settings import Settings
from tests import build
from tests.campaigns import ring
from tests.frontends.dashboard import views

TOKEN, READ = "token-of-reviewers", "token-of-readers-only"
ACCOUNT = f"/dashboard/accounts/{views.ACCOUNT}"
PAGES = ("/dashboard", "/dashboard/accounts", ACCOUNT, "/dashboard/campaigns",
         "/dashboard/campaigns/c_0001", "/dashboard/audit")  # fmt: skip


class Fake:
    """A guard that was told everything beforehand."""

    def __init__(self, label: str = "", *, heeds: bool = True) -> None:
        self.label = label
        self.told: list[Review] = []
        self._heeds = heeds

    async def state(self) -> State:
        return State(tally=views.tally(), report=views.report(), status=200)

    async def account(self, account: str, *, search: bool) -> AccountPart:
        return views.account().part

    async def known(self, account: str) -> None:
        return None

    async def campaigns(self) -> Campaigns:
        return views.campaigns()

    async def campaign(self, name: str, asked: Asked) -> CampaignView | None:
        return views.campaign(report_of(ring.caught(), name), asked) if name == "c_0001" else None

    async def review(self, review: Review) -> bool:
        self.told.append(review)
        return self._heeds


@pytest.fixture
def guard() -> Fake:
    return Fake()


Serve = Callable[..., TestClient]


@pytest.fixture
def serve(tmp_path: Path, guard: Fake) -> Serve:
    """A client of a dashboard with these settings."""

    def serve(
        *, host: str = "127.0.0.1", peer: str = "127.0.0.1", base: str = "http://127.0.0.1:9901",
        sources: list[Source] | None = None, **fields: Any,
    ) -> TestClient:  # fmt: skip
        settings = Settings(secret=build.SECRET, **{"audit_file": str(tmp_path / "audit")} | fields)
        access = Access(settings, host)

        async def probe(_: Request) -> PlainTextResponse:
            return PlainTextResponse("ok")

        desk = Desk(lambda: sources if sources is not None else [guard], settings)
        probes = [Route(path, probe) for path in ("/healthz", "/readyz", "/metrics")]
        usage = Route("/v1/usage", probe, methods=["POST"])
        app = Starlette(routes=[*probes, usage, *Dashboard(desk, access).routes()])
        return TestClient(
            Gate(app, access), base_url=base, client=(peer, 5), follow_redirects=False
        )  # fmt: skip

    return serve


def audit(tmp_path: Path) -> Audit:
    return Audit(tmp_path / "audit", build.SECRET)


def token_in(page: str) -> str:
    found = re.search(r'name="form" value="([0-9a-f]{64})"', page)
    assert found is not None
    return found[1]


def ban(client: TestClient, **fields: str) -> Any:
    """The form for a ban as a browser sends it, but for `fields`."""
    page = client.get(ACCOUNT).text
    origin = fields.pop("origin", str(client.base_url).rstrip("/"))
    form = {"ruling": "ban", "reason": "stolen card", "by": "mia", "form": token_in(page)} | fields
    headers = {"origin": origin} if origin else {}
    return client.post(ACCOUNT, data=form, headers=headers)


def login(client: TestClient, token: str, name: str = "mia", *, to: str = "") -> Any:
    return client.post(
        "/dashboard/login", data={"token": token, "name": name} | ({"to": to} if to else {}),
        headers={"origin": str(client.base_url).rstrip("/")},
    )  # fmt: skip


def test_on_loopback_every_page_is_there_with_all_its_headers(serve: Serve) -> None:
    client = serve()

    for page in PAGES:
        answer = client.get(page)
        assert answer.status_code == 200, page
        for name, value in HEADERS.items():
            assert answer.headers[name] == value, (page, name)
        assert answer.headers["cache-control"] == "no-store"
        assert "script-src" not in answer.headers["content-security-policy"]
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert client.get("/").headers["location"] == "/dashboard"
    style = client.get("/dashboard/style.css")
    assert style.headers["content-type"].startswith("text/css")


@pytest.mark.parametrize(
    ("name", "path"),
    list(zip(("overview", "accounts", "account", "campaigns", "campaign", "audit"), PAGES,
             strict=True)),
)  # fmt: skip
def test_requests_do_not_wait_while_a_page_is_made(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, name: str, path: str
) -> None:
    make = getattr(routes, f"{name}_page")
    beside = []

    def made(*args: Any, **kwargs: Any) -> str:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            beside.append(name)
        return str(make(*args, **kwargs))

    monkeypatch.setattr(routes, f"{name}_page", made)

    assert serve().get(path).status_code == 200

    assert beside == [name]


def test_the_overview_refreshes_until_it_is_told_not_to(serve: Serve) -> None:
    client = serve()

    assert client.get("/dashboard").headers["refresh"] == "30"
    assert "refresh" not in client.get("/dashboard?still").headers
    assert "refresh" not in client.get(ACCOUNT).headers
    assert "Last day" in client.get("/dashboard?window=day").text


def test_a_ban_is_written_down_and_told(serve: Serve, guard: Fake, tmp_path: Path) -> None:
    client = serve()

    answer = ban(client)

    (review,) = guard.told
    (entry,) = audit(tmp_path).entries()
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{ACCOUNT}?done=ban#decide"
    assert (review.ruling, review.account, review.reason, review.by) == (
        Ruling.BAN, views.ACCOUNT, "stolen card", "mia"
    )  # fmt: skip
    assert (entry.action, entry.account, entry.by, entry.via) == (
        "ban", views.ACCOUNT, "mia", "dashboard"
    )  # fmt: skip
    page = client.get(answer.headers["location"]).text
    assert "Banned: each of its requests is refused" in page
    assert 'value="mia"' in page
    assert "stolen card" in page
    assert "1 entry, whole" in client.get("/dashboard/audit").text


def test_a_release_names_the_campaign(serve: Serve, guard: Fake, tmp_path: Path) -> None:
    client = serve()
    where = "/dashboard/campaigns/c_0001"
    form = {"ruling": "release", "reason": "a class", "by": "mia",
            "form": token_in(client.get(where).text)}  # fmt: skip

    answer = client.post(where, data=form, headers={"origin": "http://127.0.0.1:9901"})

    assert answer.status_code == 303
    assert [(one.ruling, one.campaign) for one in guard.told] == [(Ruling.RELEASE, "c_0001")]
    assert next(audit(tmp_path).entries()).campaign == "c_0001"


def test_a_note_on_a_campaign_is_read_on_its_page_by_whoever_comes_next(serve: Serve) -> None:
    client = serve()
    where = "/dashboard/campaigns/c_0001"
    before = client.get(where).text
    form = {"ruling": "note", "reason": "asked legal", "by": "mia", "form": token_in(before)}

    client.post(where, data=form, headers={"origin": "http://127.0.0.1:9901"})
    after = client.get(where).text

    assert "What people decided" not in before
    assert "What people decided" in after
    assert "asked legal" in after


def test_a_whole_campaign_is_asked_to_verify_itself(serve: Serve, guard: Fake) -> None:
    client = serve()
    where = "/dashboard/campaigns/c_0001"
    form = {"ruling": "challenge", "reason": "look-alikes", "by": "mia",
            "form": token_in(client.get(where).text)}  # fmt: skip

    answer = client.post(where, data=form, headers={"origin": "http://127.0.0.1:9901"})

    assert answer.headers["location"] == f"{where}?done=challenge#decide"
    assert {one.ruling for one in guard.told} == {Ruling.CHALLENGE}
    assert len({one.account for one in guard.told}) == ring.MEMBERS
    assert guard.told[0].reason == "c_0001: look-alikes"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"form": ""}, 403),
        ({"form": "0" * 64}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": ""}, 403),
        ({"reason": " "}, 400),
        ({"reason": "x" * 2_001}, 400),
        ({"by": ""}, 400),
        ({"by": "a\x00b"}, 400),
        ({"ruling": "release"}, 400),
        ({"ruling": "destroy"}, 400),
        ({"reason": "x" * 40_000}, 403),
    ],
)
def test_a_form_that_is_not_ours_or_says_too_little_changes_nothing(
    serve: Serve, guard: Fake, tmp_path: Path, fields: dict[str, str], status: int
) -> None:
    answer = ban(serve(), **fields)

    assert answer.status_code == status
    assert not guard.told
    assert not (tmp_path / "audit").exists()


def test_a_form_of_another_session_changes_nothing(serve: Serve, guard: Fake) -> None:
    mine, other = serve(), serve()
    form = token_in(other.get(ACCOUNT).text)

    assert ban(mine, form=form).status_code == 403
    assert not guard.told


def test_another_host_name_is_no_way_in_where_nobody_is_asked(serve: Serve) -> None:
    client = serve(base="http://evil.example:9901")

    assert {client.get(page).status_code for page in PAGES} == {421}
    # What a page of that name would send; a gateway, which is no browser, may call us so.
    origin = {"origin": "http://evil.example:9901"}
    assert client.post("/v1/usage", headers=origin).status_code == 421
    assert client.post("/v1/usage").status_code == 200
    assert client.get("/metrics").status_code == 200


@pytest.mark.parametrize("how", ["form", "bearer"])
def test_who_guesses_behind_a_proxy_makes_nobody_else_wait_there(serve: Serve, how: str) -> None:
    proxies = (ipaddress.ip_network("10.1.2.0/24"),)
    client = serve(admin_token=TOKEN, admin_proxies=proxies, peer="10.1.2.3")

    def attempt(token: str, source: str) -> Any:
        client.headers["x-forwarded-for"] = source
        if how == "form":
            return login(client, token)
        return client.get("/dashboard", headers={"authorization": f"Bearer {token}"})

    wrong = [attempt("guess", f"192.0.2.{n}, 198.51.100.7").status_code for n in range(12)]

    assert wrong[-1] == 429
    assert attempt(TOKEN, "198.51.100.8").status_code == (303 if how == "form" else 200)
    assert attempt(TOKEN, "198.51.100.7").status_code == 429


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
@pytest.mark.parametrize(
    "fields", [{}, {"host": "0.0.0.0"}, {"host": "0.0.0.0", "admin_token": TOKEN}]
)
def test_probes_are_never_asked_who_they_are(
    serve: Serve, path: str, fields: dict[str, Any]
) -> None:
    assert serve(peer="192.0.2.9", **fields).get(path).status_code == 200


def test_elsewhere_nothing_is_open_without_authentication(serve: Serve) -> None:
    client = serve(host="0.0.0.0", peer="192.0.2.9")

    for path in PAGES:
        answer = client.get(path)
        assert answer.status_code == 403
        assert "GATEWAY_GUARD_ADMIN_TOKEN" in answer.text
    assert client.post("/v1/usage").status_code == 403


def test_with_a_token_strangers_are_sent_to_sign_in(serve: Serve) -> None:
    client = serve(host="0.0.0.0", peer="192.0.2.9", admin_token=TOKEN)

    browser = client.get("/dashboard", headers={"accept": "text/html"})
    program = client.get("/dashboard")
    assert (browser.status_code, browser.headers["location"]) == (303, "/dashboard/login")
    assert (program.status_code, program.headers["www-authenticate"][:6]) == (401, "Bearer")
    assert client.post("/v1/usage").status_code == 401
    assert client.post(ACCOUNT, data={"ruling": "ban"}).status_code == 401
    assert client.get("/dashboard/login").status_code == 200


BROWSER = {"accept": "text/html,application/xhtml+xml"}


def test_who_followed_a_link_is_led_to_it_after_signing_in(serve: Serve) -> None:
    client = serve(host="0.0.0.0", peer="192.0.2.9", admin_token=TOKEN)

    asked = client.get(ACCOUNT, headers=BROWSER)
    form = client.get(asked.headers["location"])
    wrong = login(client, "nothing-of-ours-at-all", to=ACCOUNT)
    right = login(client, TOKEN, to=ACCOUNT)

    assert asked.status_code == 303
    for page in (form.text, wrong.text):
        assert f'name="to" value="{ACCOUNT}"' in page
    assert (right.status_code, right.headers["location"]) == (303, ACCOUNT)


@pytest.mark.parametrize("to", [
    "https://evil.example/dashboard/audit", "//evil.example", "/dashboard/../x", "/metrics",
    "/dashboard/accounts/..", "/dashboard/audit\r\nx: y", "/dashboard/logout",
])  # fmt: skip
def test_nobody_is_led_elsewhere_after_signing_in(serve: Serve, to: str) -> None:
    client = serve(admin_token=TOKEN)

    form = client.get("/dashboard/login", params={"to": to})
    signed_in = login(client, TOKEN, to=to)
    again = client.get("/dashboard/login", params={"to": to})

    assert 'name="to"' not in form.text
    assert signed_in.headers["location"] == again.headers["location"] == "/dashboard"


def test_a_form_of_a_session_that_has_ended_is_answered_with_a_page_and_changes_nothing(
    serve: Serve, guard: Fake
) -> None:
    """It was a line of text for programs: what becomes of the ban that was just decided?"""
    client = serve(admin_token=TOKEN)
    origin = {"origin": str(client.base_url).rstrip("/")}

    answer = client.post(ACCOUNT, data={"ruling": "ban", "reason": "x"}, headers=BROWSER | origin)
    page = client.get(answer.headers["location"])

    assert answer.status_code == 303
    assert "You were signed out, so nothing was changed" in page.text
    assert f'name="to" value="{ACCOUNT}"' in page.text
    assert not guard.told


@pytest.mark.parametrize(("token", "pages", "decided", "usage"), [
    (TOKEN, 200, 303, 200), (READ, 200, 403, 403), ("nothing-of-ours-at-all", 401, 401, 401)
])  # fmt: skip
def test_what_a_bearer_token_may(
    serve: Serve, guard: Fake, token: str, pages: int, decided: int, usage: int
) -> None:
    client = serve(host="0.0.0.0", peer="192.0.2.9", admin_token=TOKEN, admin_read_token=READ)
    client.headers["authorization"] = f"Bearer {token}"

    assert {client.get(page).status_code for page in PAGES} == {pages}
    answer = client.post(ACCOUNT, data={"ruling": "ban", "reason": "stolen card", "by": "bot"})
    assert answer.status_code == decided
    assert len(guard.told) == (decided == 303)
    assert client.post("/v1/usage").status_code == usage


def test_signing_in_lets_in_and_names_the_reviewer(serve: Serve, guard: Fake) -> None:
    client = serve(host="0.0.0.0", peer="192.0.2.9", admin_token=TOKEN, admin_read_token=READ)

    wrong = login(client, "nothing-of-ours-at-all")
    nameless = login(client, TOKEN, " ")
    right = login(client, TOKEN)

    assert (wrong.status_code, nameless.status_code, right.status_code) == (403, 400, 303)
    for word in ("HttpOnly", "SameSite=Strict", "Max-Age=28800"):
        assert word in right.headers["set-cookie"]
    assert "mia, may review" in client.get("/dashboard").text
    # The name in the form is not theirs to choose.
    assert ban(client, by="somebody else").status_code == 303
    assert guard.told[0].by == "mia"


@pytest.mark.parametrize("how", ["form", "bearer"])
def test_who_guesses_tokens_has_to_wait_even_with_the_right_one(serve: Serve, how: str) -> None:
    client = serve(admin_token=TOKEN)

    def attempt(token: str) -> Any:
        if how == "form":
            return login(client, token)
        return client.get("/dashboard", headers={"authorization": f"Bearer {token}"})

    wrong = [attempt(f"guess-{number}").status_code for number in range(12)]
    right = attempt(TOKEN)

    assert set(wrong[:10]) == {403 if how == "form" else 401}
    assert set(wrong[10:]) == {429}
    assert right.status_code == 429
    assert 0 < int(right.headers["retry-after"]) <= 60
    assert client.get("/metrics").status_code == 200


def test_a_form_that_signs_in_from_elsewhere_does_not(serve: Serve) -> None:
    client = serve(admin_token=TOKEN)

    answer = client.post(
        "/dashboard/login", data={"token": TOKEN, "name": "eve"},
        headers={"origin": "http://evil.example"},
    )  # fmt: skip

    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("body", "origin"),
    [
        ("&".join(f"f{n}=1" for n in range(21)), "http://127.0.0.1:9901"),
        (f"token={TOKEN}&name=mia", "http://[::1"),
    ],
)
def test_a_form_that_cannot_be_read_signs_nobody_in(serve: Serve, body: str, origin: str) -> None:
    client = serve(admin_token=TOKEN)

    answer = client.post(
        "/dashboard/login", content=body,
        headers={"origin": origin, "content-type": "application/x-www-form-urlencoded"},
    )  # fmt: skip

    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_what_a_proxy_let_in_is_no_sign_in_without_it(serve: Serve) -> None:
    fields: dict[str, Any] = {
        "host": "0.0.0.0", "admin_token": TOKEN, "admin_reviewers": ("abuse",),
        "admin_proxies": (ipaddress.ip_network("10.1.2.3"),),
    }  # fmt: skip
    user = {"x-forwarded-user": "mia@example.com", "x-forwarded-groups": "abuse"}
    through = serve(peer="10.1.2.3", **fields).get("/dashboard", headers=user)
    cookie = through.headers["set-cookie"].partition(";")[0]

    beside = serve(peer="192.0.2.9", **fields).get("/dashboard", headers={"cookie": cookie})

    assert (through.status_code, beside.status_code) == (200, 401)


def test_who_signed_in_to_look_may_only_look(serve: Serve, guard: Fake) -> None:
    client = serve(admin_token=TOKEN, admin_read_token=READ)
    login(client, READ)
    page = client.get(ACCOUNT).text

    answer = client.post(
        ACCOUNT, data={"ruling": "ban", "reason": "x", "form": token_in(page)},
        headers={"origin": "http://127.0.0.1:9901"},
    )  # fmt: skip

    assert "<textarea" not in page
    assert answer.status_code == 403
    assert not guard.told


def test_signing_out_ends_the_session(serve: Serve) -> None:
    client = serve(admin_token=TOKEN)
    login(client, TOKEN)
    form = token_in(client.get("/dashboard").text)
    origin = {"origin": "http://127.0.0.1:9901"}

    foreign = client.post("/dashboard/logout", data={"form": ""}, headers=origin)
    answer = client.post("/dashboard/logout", data={"form": form}, headers=origin)

    assert (foreign.status_code, answer.status_code) == (403, 303)
    assert client.get("/dashboard").status_code == 401


def test_a_proxy_speaks_for_its_users(serve: Serve, guard: Fake) -> None:
    client = serve(
        host="0.0.0.0", peer="10.1.2.3", admin_proxies=(ipaddress.ip_network("10.1.2.3"),),
        admin_reviewers=("abuse",),
    )  # fmt: skip
    client.headers["x-forwarded-user"] = "mia@example.com"

    assert "mia@example.com, may only look" in client.get("/dashboard").text
    client.headers["x-forwarded-groups"] = "staff,abuse"
    assert "mia@example.com, may review" in client.get("/dashboard").text
    client.headers["x-forwarded-proto"] = "https"
    assert ban(client).status_code == 303
    assert guard.told[0].by == "mia@example.com"


def test_behind_tls_the_cookie_stays_there(serve: Serve) -> None:
    client = serve(
        peer="10.1.2.3", admin_token=TOKEN, admin_proxies=(ipaddress.ip_network("10.1.2.3"),)
    )
    client.headers["x-forwarded-proto"] = "https"

    assert "; Secure" in login(client, TOKEN).headers["set-cookie"]


def test_without_an_audit_file_nothing_can_be_changed_and_the_page_says_so(
    serve: Serve, guard: Fake
) -> None:
    client = serve(audit_file=None)
    page = client.get(ACCOUNT).text

    assert "GATEWAY_GUARD_AUDIT_FILE" in page
    assert "<textarea" not in page
    assert not guard.told


def test_a_decision_that_cannot_be_written_down_is_not_made(
    serve: Serve, guard: Fake, tmp_path: Path
) -> None:
    answer = ban(serve(audit_file=str(tmp_path / "nowhere" / "audit")))

    assert answer.status_code == 503
    assert "nothing was changed" in answer.text
    assert not guard.told


def test_a_record_that_was_removed_or_moved_away_is_looked_at_all_the_same(
    serve: Serve, tmp_path: Path
) -> None:
    client = serve()
    before = client.get("/dashboard/audit").text
    ban(client)
    audit(tmp_path).path.rename(tmp_path / "audit.1")
    moved = client.get("/dashboard/audit").text
    (tmp_path / "audit.1").unlink()
    removed = client.get("/dashboard/audit").text

    assert "not as it was written" not in before
    assert "1 entry, whole" in moved
    assert "The record is not as it was written" in removed
    assert "it is gone" in removed


def test_a_guard_that_cannot_be_told_is_in_the_record(serve: Serve, tmp_path: Path) -> None:
    answer = ban(serve(sources=[Fake("0"), Fake("1", heeds=False)]))

    assert answer.status_code == 503
    assert [entry.action for entry in audit(tmp_path).entries()] == ["ban", "failed"]


def test_several_workers_are_one_page(serve: Serve) -> None:
    client = serve(sources=[Fake("0"), Fake("1")])

    overview = client.get("/dashboard").text
    assert "worker 1: limits" in overview
    assert "8 of 10" in overview
    assert 'href="/dashboard/campaigns/c_0001@1"' in overview
    assert client.get("/dashboard/campaigns/c_0001@1").status_code == 200
    assert client.get("/dashboard/campaigns/c_0001@7").status_code == 404
    campaigns = client.get("/dashboard/campaigns").text
    assert campaigns.index(">c_0002@0<") < campaigns.index(">c_0002@1<")


def test_a_release_is_told_only_to_the_worker_that_holds_that_campaign(serve: Serve) -> None:
    first, second = Fake("0"), Fake("1")
    client = serve(sources=[first, second])
    where = "/dashboard/campaigns/c_0001@1"
    form = {"ruling": "release", "reason": "a class", "by": "mia",
            "form": token_in(client.get(where).text)}  # fmt: skip

    answer = client.post(where, data=form, headers={"origin": "http://127.0.0.1:9901"})

    assert answer.status_code == 303
    assert [one.campaign for one in second.told] == ["c_0001"]
    assert not first.told


@pytest.mark.parametrize(
    "path", ["/dashboard/accounts/acct_x", "/dashboard/campaigns/c_9999", "/dashboard/campaigns/x"]
)
def test_what_is_not_there_is_said(serve: Serve, path: str) -> None:
    assert serve().get(path).status_code == 404


def test_a_campaign_let_go_says_what_became_of_it(serve: Serve) -> None:
    answer = serve().get("/dashboard/campaigns/c_0002")

    assert answer.status_code == 404
    assert (
        "was let go: looked innocent once more of it was known. It had 12 accounts; 41 of their "
        "200 exchanges since the alarm were refused."
    ) in answer.text


def test_members_are_listed_in_the_order_that_is_asked_for(serve: Serve) -> None:
    page = "/dashboard/campaigns/c_0001"
    surest, doubtful = serve().get(page).text, serve().get(f"{page}?by=doubtful").text

    assert re.findall(r' id="m([0-9]+)"', surest)[:2] == ["1", "2"]
    assert re.findall(r' id="m([0-9]+)"', doubtful)[:2] == ["24", "23"]


def test_campaigns_travel_between_processes_as_they_are() -> None:
    found = views.campaigns()

    assert msgspec.json.decode(msgspec.json.encode(found), type=Campaigns) == found


def test_an_account_is_found_by_its_digest_and_a_key_is_not_shown_again(serve: Serve) -> None:
    client = serve()

    found = client.get("/dashboard/accounts", params={"q": f" {views.ACCOUNT} "})
    part = client.get("/dashboard/accounts", params={"q": "acct_aaa"})
    key = client.get("/dashboard/accounts", params={"q": "sk-live-1234"})

    assert found.headers["location"] == ACCOUNT
    assert views.ACCOUNT in part.text
    assert key.status_code == 400
    assert "sk-live" not in key.text


@pytest.mark.parametrize("quoted", ["r_97jy8gm6c4tv1e", "urn:gateway-guard:r_97jy8gm6c4tv1e"])
def test_a_request_is_no_account_and_is_sent_where_it_is_found(serve: Serve, quoted: str) -> None:
    found = serve().get("/dashboard/accounts", params={"q": quoted})

    assert found.status_code == 400
    assert "gateway-guard decision finds it by this id" in found.text
    assert "write acct_" not in found.text


def test_what_fails_is_said_in_words(serve: Serve) -> None:
    class Broken(Fake):
        async def state(self) -> State:
            raise SourceError("the disk is gone")

    answer = serve(sources=[Broken()]).get("/dashboard")

    assert answer.status_code == 503
    assert "the disk is gone" in answer.text
