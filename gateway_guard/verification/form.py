"""The built-in page: shown, filled in, judged."""

from __future__ import annotations

from inspect import isawaitable
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway_guard.core.links import Claims, LinkFault, Purpose
from gateway_guard.core.sections import Form, Verification
from gateway_guard.errors import SourceError
from gateway_guard.failures import described
from gateway_guard.verification import page, web
from gateway_guard.verification.checks import Check, Visit, good_code, installed
from gateway_guard.verification.reception import AGAIN, Reception

_LONGEST: Final = 500


def shown(
    reception: Reception, request: Request, verification: Verification, form: Form, claims: Claims,
    token: str, filled: page.Filled | None = None, *, status: int | None = None,
) -> Response:  # fmt: skip
    """The form, with a secret of this browser's that its answer must bring back."""
    visitor = reception.known(request)
    text = page.form_page(
        form, account=claims.account, action=verification.path, token=token,
        guard=reception.seal(visitor, claims), filled=filled,
    )  # fmt: skip
    answer = web.html(text, status or (400 if filled is not None else 200))
    reception.remember(answer, verification, visitor)
    return answer


async def filled_in(reception: Reception, request: Request, verification: Verification) -> Response:
    """What becomes of a form that was sent.

    Raises:
        SettingsError: the check is not installed.
        SourceError: it failed.
        StoreError: shared state does not answer.
    """
    form = verification.form
    body = await web.body(request)
    if form is None or body is None:
        return reception.told(verification, 400, "Nothing to read", AGAIN)
    said = web.fields(body)
    token = said.get(page.LINK, "")
    claims = reception.office.read(token, Purpose.VISIT)
    if isinstance(claims, LinkFault):
        return reception.refused(verification, claims)
    if not reception.same_visitor(request, verification, claims, said.get(page.GUARD, "")):
        return reception.elsewhere(verification)
    filled = _read(form, said)
    if filled.trouble:
        return shown(reception, request, verification, form, claims, token, filled)
    address, subnet = reception.address(request)
    too_many = await reception.tried(verification, claims, subnet)
    if too_many is not None:
        return too_many
    by, subject, code = "form:address", subnet or "unknown", None
    if form.codes is not None:
        code = good_code(form, said.get(page.CODE, ""))
        if code is None:
            reception.office.count("wrong-code")
            wrong = msgspec.structs.replace(filled, trouble="That is not a code we handed out.")
            return shown(reception, request, verification, form, claims, token, wrong, status=403)
        by, subject = "form:code", code
    check = reception.check
    if check is None and form.check is not None:
        check = installed(form.check)
    if check is not None:
        fields = dict(zip(form.fields, filled.fields, strict=True))
        visit = Visit(
            account=claims.account,
            fields=fields,
            code=code,
            address=address,
            at=reception.office.now(),
        )
        found = await _checked(check, visit)
        if found is None:
            return reception.unconfirmed(verification)
        by, subject = "form:check", found
    return await reception.admitted(verification, claims, subject, by=by)


async def _checked(check: Check, visit: Visit) -> str | None:
    """Who the visitor is; None for who does not pass.

    Raises:
        SourceError: the check failed, so nobody can say. Nobody passes by that, or is turned away.
    """
    try:
        asked: object = check(visit)
        if not isawaitable(asked):
            raise _no(asked, "an awaitable: it has to be a coroutine function")
        found: object = await asked
        if not isinstance(found, str | None):
            raise _no(found, "text that says who it is, or None")
    except Exception as error:
        raise SourceError(f"the check failed: {described(error)}") from error
    return found[:256] if found else None


def _no(answer: object, wanted: str) -> SourceError:
    return SourceError(f"it answered with {type(answer).__name__}, not with {wanted}")


def _read(form: Form, said: dict[str, str]) -> page.Filled:
    accepted = frozenset(n for n in range(len(form.accept)) if said.get(page.accept_name(n)))
    fields = tuple(
        said.get(page.field_name(n), "").strip()[:_LONGEST] for n in range(len(form.fields))
    )
    trouble = ""
    if not all(fields):
        trouble = "Please fill in every field."
    elif form.codes is not None and not said.get(page.CODE, "").strip():
        trouble = "Please write your code."
    elif len(accepted) < len(form.accept):
        trouble = "Please agree to every point."
    return page.Filled(accepted=accepted, fields=fields, trouble=trouble)
