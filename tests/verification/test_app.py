"""The page of visitors: who is let through, who is not, and what each is told."""

from __future__ import annotations

import asyncio
import re
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from gateway_guard.core.links import LEEWAY, Purpose, make, read
from gateway_guard.errors import SettingsError, StoreError
from gateway_guard.guard import Guard
from gateway_guard.types import Action, Charge, Grant
from gateway_guard.verification import web
from gateway_guard.verification.app import VerificationApp
from gateway_guard.verification.checks import Visit
from gateway_guard.verification.page import done_page
from tests import build
from tests.verification.visiting import (
    CODE,
    KEY,
    PROVIDER,
    URL,
    Clock,
    Visitor,
    callback,
    challenged,
    guard_of,
    link,
)

OTHER_CODE = "m3vb-8hzt-q4ns"


async def passes(guard: Guard, key: str = "sk-one") -> bool:
    """Whether a request of that account is let through."""
    return (await challenged(guard, key)).decision.action is Action.ALLOW


async def asked(guard: Guard) -> tuple[str, Visitor]:
    """A link, and whoever was given it."""
    return await link(guard), Visitor(VerificationApp(guard))


def test_whoever_fills_in_the_form_verifies_the_account_of_the_link(tmp_path: Path) -> None:
    async def scenario() -> None:
        guard = guard_of(tmp_path)
        url, visitor = await asked(guard)

        answer = await visitor.verify(url)

        assert answer.status_code == 200
        assert "30 days" in answer.text
        assert await passes(guard)
        assert not await passes(guard, "sk-other")

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(60, "1 minute"), (1800, "30 minutes"), (7200, "2 hours"), (86_400, "24 hours"),
     (30 * 86_400, "30 days")],
)  # fmt: skip
def test_a_visitor_is_told_how_long_it_holds(seconds: float, words: str) -> None:
    text = done_page(account="acct_a", lasts=seconds, style="/style.css")

    assert f"verified for {words}." in text


def test_looking_at_a_link_changes_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        guard = guard_of(tmp_path)
        url, visitor = await asked(guard)

        for _ in range(3):
            await visitor.http.get(url)
            await visitor.http.head(url)

        assert not await passes(guard)
        assert (await visitor.verify(url)).status_code == 200

    asyncio.run(scenario())


def test_a_link_ends_and_its_page_says_what_to_do(tmp_path: Path) -> None:
    async def scenario() -> None:
        clock = Clock()
        guard = guard_of(tmp_path, clock=clock)
        url, visitor = await asked(guard)
        fields = await visitor.fields(url)

        clock.now += 1_800 + LEEWAY + 1
        answers = await visitor.http.get(url), await visitor.send(fields)

        for answer in answers:
            assert answer.status_code == 410
            assert "Make your request again" in answer.text
        assert not await passes(guard)

    asyncio.run(scenario())


@pytest.mark.parametrize("token", ["", "x", "t" * 100, "é"])
def test_what_is_no_link_is_told_so(tmp_path: Path, token: str) -> None:
    async def scenario() -> None:
        visitor = Visitor(VerificationApp(guard_of(tmp_path)))

        answer = await visitor.http.get(URL, params={"t": token})

        assert answer.status_code == 403
        assert "does not work" in answer.text

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"origin": "https://evil.test"},
        {"origin": "null"},
        {"cookie": "gg_verify=somebody-else"},
        {"cookie": ""},
    ],
)
def test_a_form_that_another_page_sends_is_refused(tmp_path: Path, headers: dict[str, str]) -> None:
    async def scenario() -> None:
        guard = guard_of(tmp_path)
        url, visitor = await asked(guard)
        fields = await visitor.fields(url)
        if "cookie" in headers:
            visitor.http.cookies.clear()

        answer = await visitor.send(fields, **headers)

        assert answer.status_code == 403
        assert "came from elsewhere" in answer.text
        assert not await passes(guard)

    asyncio.run(scenario())


def test_a_form_of_the_same_page_is_taken(tmp_path: Path) -> None:
    async def scenario() -> None:
        guard = guard_of(tmp_path)
        url, visitor = await asked(guard)

        fields = await visitor.fields(url)
        answer = await visitor.send(fields, origin="https://api.test", sec_fetch_site="same-origin")

        assert answer.status_code == 200

    asyncio.run(scenario())


@pytest.mark.parametrize("url", ["https://API.test:443/verify", "https://api.test/verify"])
def test_the_pages_origin_is_known_as_browsers_write_it(tmp_path: Path, url: str) -> None:
    async def scenario() -> None:
        guard = guard_of(tmp_path, url=url)
        opened, visitor = await asked(guard)

        fields = await visitor.fields(opened)
        answer = await visitor.send(fields, origin="https://api.test")

        assert answer.status_code == 200

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "secret", ["somebody-else", '"\\012\\015x: y"', "x" * 4_000], ids=["other", "line", "long"]
)
def test_a_secret_that_this_page_did_not_make_is_neither_kept_nor_sent_back(
    tmp_path: Path, secret: str
) -> None:
    async def scenario() -> None:
        url, visitor = await asked(guard_of(tmp_path))

        page = await visitor.http.get(url, headers={"cookie": f"gg_verify={secret}"})

        assert re.match(r"gg_verify=[\w-]{24};", page.headers["set-cookie"], re.ASCII)

    asyncio.run(scenario())


@pytest.mark.parametrize("path", ["", "/callback"])
def test_whoever_goes_away_amid_a_form_does_no_harm(tmp_path: Path, path: str) -> None:
    messages: list[MutableMapping[str, Any]] = [
        {"type": "http.request", "body": b"t=", "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return messages.pop(0)

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def scenario() -> None:
        scope: Scope = {
            "type": "http", "method": "POST", "path": f"/verify{path}", "query_string": b"",
            "headers": [], "client": None,
        }  # fmt: skip

        await VerificationApp(guard_of(tmp_path, provider=PROVIDER))(scope, receive, send)

        assert sent[0]["status"] >= 400

    asyncio.run(scenario())


def test_the_cookie_is_for_this_page_alone_and_no_script_reads_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        url, visitor = await asked(guard_of(tmp_path))

        page = await visitor.http.get(url)

        cookie = page.headers["set-cookie"].lower()
        for word in ("httponly", "samesite=strict", "secure", "path=/verify"):
            assert word in cookie
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert page.headers["x-frame-options"] == "DENY"
        assert page.headers["cache-control"] == "no-store"
        assert "<script" not in page.text
        assert "style=" not in page.text

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("changed", "told"),
    [({"accept0": ""}, "agree to every point"), ({"code": "  "}, "write your code")],
)
def test_what_is_missing_is_asked_for_again(
    tmp_path: Path, changed: dict[str, str], told: str
) -> None:
    async def scenario() -> None:
        guard = guard_of(tmp_path)
        url, visitor = await asked(guard)

        answer = await visitor.verify(url, **changed)

        assert answer.status_code == 400
        assert told in answer.text
        assert not await passes(guard)

    asyncio.run(scenario())


def test_codes_cannot_be_guessed_ten_tries_an_hour_for_one_account(tmp_path: Path) -> None:
    async def scenario() -> None:
        clock = Clock()
        guard = guard_of(tmp_path, clock=clock)
        found = []
        for number in range(12):
            url = await link(guard)
            peer = f"203.0.{number}.9"
            visitor = Visitor(VerificationApp(guard), peer=peer)
            found.append(await visitor.verify(url, code=f"guess number {number}"))
        late = await Visitor(VerificationApp(guard)).verify(await link(guard))
        clock.now += 3_600

        again = await Visitor(VerificationApp(guard)).verify(await link(guard))

        assert [answer.status_code for answer in found] == [403] * 10 + [429] * 2
        assert int(found[-1].headers["retry-after"]) > 0
        assert late.status_code == 429, "also with the right code"
        assert again.status_code == 200

    asyncio.run(scenario())


def test_one_address_may_not_try_for_many_accounts(tmp_path: Path) -> None:
    async def scenario() -> None:
        guard = guard_of(tmp_path)
        visitor = Visitor(VerificationApp(guard))

        found = [
            (await visitor.verify(await link(guard, f"sk-{n}"), code="wrong code")).status_code
            for n in range(32)
        ]

        assert found == [403] * 30 + [429] * 2

    asyncio.run(scenario())


def test_one_hand_verifies_three_accounts_of_a_thousand(tmp_path: Path) -> None:
    async def scenario() -> None:
        guard = guard_of(tmp_path, form="{ accept: [I am a person] }")
        good = 0
        for number in range(20):
            visitor = Visitor(VerificationApp(guard), peer=f"203.0.113.{number}")
            good += (await visitor.verify(await link(guard, f"sk-{number}"))).status_code == 200

        assert good == 3, "one subnet is one hand, where nothing else is known"

    asyncio.run(scenario())


def test_words_of_the_operator_and_the_visitor_are_never_markup(tmp_path: Path) -> None:
    async def scenario() -> None:
        form = '{ title: "<b>x", accept: ["<i>"], fields: ["<u>"], check: ours }'

        async def check(visit: Visit) -> str | None:
            return None

        guard = guard_of(tmp_path, form=form)
        visitor = Visitor(VerificationApp(guard, check=check))

        answer = await visitor.verify(
            await link(guard), field0='"><script>alert(1)</script>', accept0=""
        )

        assert "<script>" not in answer.text
        assert 'value="&quot;&gt;' in answer.text
        for tag in ("<b>", "<i>", "<u>"):
            assert tag not in answer.text

    asyncio.run(scenario())


def test_a_check_of_ones_own_has_the_last_word(tmp_path: Path) -> None:
    seen: list[Visit] = []

    async def check(visit: Visit) -> str | None:
        seen.append(visit)
        if visit.fields["Name"] == "Boom":
            raise RuntimeError("what the visitor wrote: Boom")
        return {"Ada": "ada", "Odd": "no text: \ud800"}.get(visit.fields["Name"])

    async def scenario() -> None:
        guard = guard_of(tmp_path, form="{ fields: [Name], check: ours }")
        visitor = Visitor(VerificationApp(guard, check=check))

        mallory = await visitor.verify(await link(guard), field0="Mallory")
        failing = await visitor.verify(await link(guard), field0="Boom")
        between = await passes(guard)
        odd = await visitor.verify(await link(guard, "sk-odd"), field0="Odd")
        ada = await visitor.verify(await link(guard), field0=" Ada ")

        assert (mallory.status_code, failing.status_code, between) == (403, 503, False)
        assert (odd.status_code, ada.status_code) == (200, 200)
        assert seen[-1].address == "203.0.113.9"
        assert seen[-1].account == (await challenged(guard)).request.account

    asyncio.run(scenario())


async def raising(visit: Visit) -> str | None:
    raise LookupError(visit.fields["Name"])


async def yes(_visit: Visit) -> bool:
    return True


def at_once(_visit: Visit) -> str:
    return "ada"


@pytest.mark.parametrize(
    ("check", "said"),
    [
        (raising, "LookupError at verification/test_app.py"),
        (yes, "it answered with bool, not with text"),
        (at_once, "it has to be a coroutine function"),
    ],
)
def test_a_check_that_fails_turns_nobody_away_and_is_told_with_its_place(
    check: Any, said: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        guard = guard_of(tmp_path, form="{ fields: [Name], check: ours }")
        way = await link(guard)
        app = VerificationApp(guard, check=check)

        answer = await Visitor(app).verify(way, field0="Mallory Made-Up")

        assert answer.status_code == 503
        assert "Please try again" in answer.text
        assert not await passes(guard)

        mended = Visitor(VerificationApp(guard, check=good))
        assert (await mended.verify(way, field0="Ada")).status_code == 200

    async def good(_visit: Visit) -> str | None:
        return "ada"

    asyncio.run(scenario())

    assert said in caplog.text
    assert "Mallory" not in caplog.text


def test_a_check_that_is_not_installed_is_an_error_at_the_start(tmp_path: Path) -> None:
    guard = guard_of(tmp_path, form="{ check: nobody-has-this }")

    with pytest.raises(SettingsError, match="nobody-has-this"):
        VerificationApp(guard)


async def returned(guard: Guard, visitor: Visitor) -> tuple[str, str]:
    """The state, and the way back, that a provider is given."""
    page = await visitor.http.get(await link(guard))
    where = re.findall(r'href="(https://kyc[^"]+)"', page.text)[0].replace("&amp;", "&")
    query = parse_qs(urlsplit(where).query)
    assert query["client"] == ["guard"]
    return query["state"][0], query["return"][0]


def test_a_provider_is_sent_a_state_and_the_way_back_and_nothing_can_change_it(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        guard = guard_of(tmp_path, provider=PROVIDER)
        visitor = Visitor(VerificationApp(guard))

        state, back = await returned(guard, visitor)
        evil = await visitor.http.get(
            await link(guard) + "&return=https://evil.test&state=x&url=https://evil.test"
        )
        waiting = await visitor.http.get(back)
        done = await visitor.http.post(
            **callback(msgspec.json.encode({"state": state, "subject": "ada", "verified": True}))
        )

        assert back.startswith(f"{URL}/done?t=")
        assert "evil.test" not in evil.text
        assert not evil.has_redirect_location
        assert "Not confirmed yet" in waiting.text
        assert (done.status_code, done.json()) == (200, {"status": "verified"})
        assert "Thank you" in (await visitor.http.get(back)).text
        assert await passes(guard)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b'{"state": "x", "subject": "ada", "verified": true}', 403),
        (b'{"state": "x", "subject": "ada"}', 400),
        (b'{"state": 1}', 400),
        (b"\xff", 400),
        (b"x" * 70_000, 413),
    ],
)
def test_a_callback_that_makes_no_sense_is_refused(
    tmp_path: Path, body: bytes, status: int
) -> None:
    async def scenario() -> None:
        visitor = Visitor(VerificationApp(guard_of(tmp_path, provider=PROVIDER)))

        assert (await visitor.http.post(**callback(body))).status_code == status

    asyncio.run(scenario())


@pytest.mark.parametrize("subject", ["", "x" * 257])
def test_a_callback_says_who_it_was_or_that_nobody_was_found(tmp_path: Path, subject: str) -> None:
    async def scenario() -> None:
        guard = guard_of(tmp_path, provider=PROVIDER)
        visitor = Visitor(VerificationApp(guard))
        state, _ = await returned(guard, visitor)
        refused = {"state": state, "verified": False}

        nobody = await visitor.http.post(
            **callback(msgspec.json.encode({"state": state, "subject": subject, "verified": True}))
        )
        said = await visitor.http.post(**callback(msgspec.json.encode(refused)))

        assert nobody.status_code == 400
        assert said.json() == {"status": "refused"}
        assert not await passes(guard)

    asyncio.run(scenario())


def test_a_callback_is_signed_by_the_provider_just_now(tmp_path: Path) -> None:
    async def scenario() -> None:
        clock = Clock()
        guard = guard_of(tmp_path, provider=PROVIDER, clock=clock)
        visitor = Visitor(VerificationApp(guard))
        state, _ = await returned(guard, visitor)
        body = msgspec.json.encode({"state": state, "subject": "ada", "verified": True})

        forged = await visitor.http.post(**callback(body, key=b"another key of 24 bytes or so"))
        old = await visitor.http.post(**callback(body, at=clock.now - 301))
        skewed = await visitor.http.post(**callback(body, at=clock.now + 299))
        replayed = await visitor.http.post(**callback(body))

        assert [a.status_code for a in (forged, old, skewed, replayed)] == [401, 401, 200, 409]

    asyncio.run(scenario())


def test_a_link_for_visitors_is_none_for_the_provider_nor_the_other_way_round(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        guard = guard_of(tmp_path, provider=PROVIDER)
        visitor = Visitor(VerificationApp(guard))
        state, _ = await returned(guard, visitor)
        visit = (await link(guard)).partition("t=")[2]

        early = await visitor.http.post(
            **callback(msgspec.json.encode({"state": visit, "subject": "ada", "verified": True}))
        )
        late = await visitor.http.get(URL, params={"t": state})

        assert (early.status_code, late.status_code) == (403, 403)

    asyncio.run(scenario())


def test_a_provider_has_no_form_and_a_form_no_provider(tmp_path: Path) -> None:
    async def scenario() -> None:
        with_form = Visitor(VerificationApp(guard_of(tmp_path)))
        with_provider = Visitor(VerificationApp(guard_of(tmp_path, provider=PROVIDER)))

        assert (await with_form.http.post(**callback(b"{}"))).status_code == 404
        assert (await with_provider.send({"t": "x"})).status_code == 400

    asyncio.run(scenario())


async def otherwise(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("the app behind")(scope, receive, send)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/verify", "HEAD, GET, POST"),
        ("GET", "/verify/callback", "POST"),
        ("POST", "/verify/done", "HEAD, GET"),
        ("OPTIONS", "/verify/style.css", "HEAD, GET"),
    ],
)
def test_another_method_is_told_which_there_are(
    tmp_path: Path, method: str, path: str, allowed: str
) -> None:
    async def scenario() -> None:
        transport = httpx.ASGITransport(VerificationApp(guard_of(tmp_path)))
        async with httpx.AsyncClient(transport=transport) as http:
            answer = await http.request(method, f"https://api.test{path}")

        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/verify", 403),
        ("/verify/", 403),
        ("/verify/style.css", 200),
        ("/verify/elsewhere", 404),
        ("/verify/%2e%2e/v1/models", 404),
        ("/verify%2f..%2fv1/models", 404),
        ("/verifyx", 418),
        ("/v1/models", 418),
        ("/v1/verify", 418),
    ],
)
def test_only_what_is_below_the_url_is_answered(tmp_path: Path, path: str, status: int) -> None:
    async def behind(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("the app behind", 418)(scope, receive, send)

    async def scenario() -> None:
        app = VerificationApp(guard_of(tmp_path), behind)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport) as http:
            target = httpx.URL("https://api.test").copy_with(raw_path=path.encode())

            assert (await http.get(target)).status_code == status

    asyncio.run(scenario())


@pytest.mark.parametrize("alone", [True, False])
def test_it_can_be_mounted_in_an_app_or_stand_in_front_of_one(tmp_path: Path, alone: bool) -> None:
    async def scenario() -> None:
        guard = guard_of(tmp_path)
        ours = VerificationApp(guard, None if alone else otherwise)
        app = Starlette(routes=[Mount("/verify", ours)]) if alone else ours
        visitor = Visitor(VerificationApp(guard))
        transport = httpx.ASGITransport(app)
        visitor.http = httpx.AsyncClient(transport=transport, follow_redirects=True)

        assert (await visitor.verify(await link(guard))).status_code == 200

    asyncio.run(scenario())


def test_without_verification_in_the_policy_everything_goes_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        guard = guard_of(tmp_path)
        policy = msgspec.structs.replace(guard.policy, verification=None)
        guard.policies.current = policy
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(VerificationApp(guard, otherwise))
        ) as http:
            behind = await http.get(f"{URL}?t=x")
        async with httpx.AsyncClient(transport=httpx.ASGITransport(VerificationApp(guard))) as http:
            nobody = await http.get(f"{URL}?t=x")
        exchange = await challenged(guard)

        assert behind.text == "the app behind"
        assert nobody.status_code == 404
        assert exchange.decision.action is Action.CHALLENGE
        assert exchange.decision.challenge_url is None

    asyncio.run(scenario())


def test_while_shared_state_does_not_answer_nobody_is_verified_and_the_link_stays_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Down:
        async def reserve(
            self, charges: Sequence[Charge], *, id: str, now: float
        ) -> tuple[Grant, ...]:
            raise StoreError("down")

    async def scenario() -> None:
        guard = guard_of(tmp_path)
        url, visitor = await asked(guard)
        store: Any = guard.store
        monkeypatch.setattr(guard, "store", Down())

        down = await visitor.verify(url)
        monkeypatch.setattr(guard, "store", store)

        assert down.status_code == 429
        assert (await visitor.verify(url)).status_code == 200

    asyncio.run(scenario())


def test_two_forms_at_once_use_a_link_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        guard = guard_of(tmp_path)
        url, visitor = await asked(guard)
        fields = await visitor.fields(url)

        found = await asyncio.gather(*(visitor.send(fields) for _ in range(8)))

        assert sorted(answer.status_code for answer in found) == [200] + [409] * 7

    asyncio.run(scenario())


def test_nothing_that_was_written_or_handed_out_is_kept_in_the_journal(tmp_path: Path) -> None:
    kept = tmp_path / "campaigns.gg"
    journal = tmp_path / "campaigns.gg.reviews"

    async def scenario() -> None:
        guard = guard_of(tmp_path, campaigns_file=str(kept))
        url, visitor = await asked(guard)
        await visitor.verify(url)
        await guard.close()
        text = journal.read_text()

        again = guard_of(tmp_path, campaigns_file=str(kept))
        token = url.partition("t=")[2]
        claims = read(build.SECRET, token, purpose=Purpose.VISIT, now=build.NOW)

        assert text.count("\n") == 1
        for secret in ("sk-one", CODE, CODE.replace("-", ""), token, KEY.decode()):
            assert secret not in text
        assert await passes(again)
        assert make(build.SECRET, claims) == token  # type: ignore[arg-type]
        answer = await Visitor(VerificationApp(again)).verify(url)
        assert answer.status_code == 409, "also after a restart"
        await again.close()

    asyncio.run(scenario())


def test_a_form_that_never_ends_is_not_waited_for() -> None:
    async def slowly() -> MutableMapping[str, Any]:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b"a", "more_body": True}

    async def scenario() -> bytes | None:
        return await web.body(Request({"type": "http", "headers": []}, slowly), patience=0.2)

    assert asyncio.run(asyncio.wait_for(scenario(), 60.0)) is None
