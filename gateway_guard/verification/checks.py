"""Who decides whether a visitor passes: the form itself, or a check of the operator's own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from importlib.metadata import entry_points
from typing import Final

import msgspec

from gateway_guard.core.codes import code_digest, plain_code
from gateway_guard.core.sections import Form
from gateway_guard.errors import SettingsError

#: Entry-point group in which packages name their checks: `our-check = "package.module:function"`.
GROUP: Final = "gateway_guard.checks"


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """What a visitor said, for a check of one's own.

    Attributes:
        account: keyed digest of the account that is to be verified.
        fields: label of each of the form's `fields` → what was written there, 1 to 500 characters.
        code: the code in `core.codes.plain_code`'s spelling, good already; None where the form asks
            for none.
        address: the visitor's IP address; None when unknown.
        at: Unix seconds.
    """

    account: str
    fields: Mapping[str, str]
    code: str | None
    address: str | None
    at: float


#: Whether a visitor passes: who they showed themselves to be, in any words that are the same
#: whenever it is the same person (1 to 256 characters, only a keyed digest of them is kept); None
#: for who does not pass. Where it raises, or answers with something else, nobody passes and nobody
#: is turned away: the visitor is asked to try again, and the log says what it was and where.
Check = Callable[[Visit], Awaitable[str | None]]


def installed(name: str) -> Check:
    """The check that another package installed under `name`. Importing runs its code.

    Raises:
        SettingsError: there is none, or it cannot be imported.
    """
    known = {point.name: point for point in entry_points(group=GROUP)}
    if name not in known:
        raise SettingsError(
            f"verification.form.check: no check {name!r} is installed (there are: "
            f"{', '.join(sorted(known)) or 'none'}); a package names its own in the entry-point "
            f"group {GROUP}"
        )
    try:
        check = known[name].load()
    except Exception as error:
        raise SettingsError(f"check {name!r} cannot be imported: {error}") from error
    if not callable(check):
        raise SettingsError(f"check {name!r} ({known[name].value}) cannot be called")
    return check  # type: ignore[no-any-return]


def good_code(form: Form, text: str) -> str | None:
    """The code in `text` in its plain spelling; None when it is none of the form's."""
    code = plain_code(text)
    return code if form.codes is not None and code_digest(code) in form.codes else None
