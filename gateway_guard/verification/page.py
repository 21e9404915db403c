"""What visitors see. Pure: words in, HTML out; no script, nothing from elsewhere."""

from __future__ import annotations

from typing import Final
from xml.etree.ElementTree import Element

import msgspec

from gateway_guard.core.sections import Form
from gateway_guard.pages.markup import Child, page, tag
from gateway_guard.pages.words import many

#: Names of the form's fields; those of `accept` and `fields` are numbered.
LINK: Final = "t"
GUARD: Final = "g"
CODE: Final = "code"


def accept_name(number: int) -> str:
    """The name of box `number`, from 0."""
    return f"accept{number}"


def field_name(number: int) -> str:
    """The name of field `number`, from 0."""
    return f"field{number}"


class Filled(msgspec.Struct, frozen=True, kw_only=True):
    """What a visitor has said so far, shown again where something is missing.

    Attributes:
        accepted: numbers of the boxes that were ticked.
        fields: what stands in the fields, by number. A code is never shown again.
        trouble: what to do about it; empty at the first visit.
    """

    accepted: frozenset[int] = frozenset()
    fields: tuple[str, ...] = ()
    trouble: str = ""


def form_page(
    form: Form, *, account: str, action: str, token: str, guard: str, filled: Filled | None = None
) -> str:
    """The built-in page.

    `action` is the path it is sent to; `token` and `guard` come back with it, unseen.
    """
    filled = filled or Filled()
    rows: list[Child] = []
    for number, label in enumerate(form.fields):
        name = field_name(number)
        value = filled.fields[number] if number < len(filled.fields) else ""
        rows.append(_text(name, label, value=value, autocomplete="on"))
    if form.codes is not None:
        rows.append(_text(CODE, "Your code", hint="as you were given it; case and dashes do not "
                          "matter", autocomplete="one-time-code"))  # fmt: skip
    for number, label in enumerate(form.accept):
        name = accept_name(number)
        ticked = "checked" if number in filled.accepted else None
        box = tag("input", type="checkbox", name=name, id=name, value="yes", required="required",
                  checked=ticked)  # fmt: skip
        rows.append(tag("p", box, " ", tag("label", label, **{"for": name}), cls="box"))
    trouble = tag("p", filled.trouble, cls="trouble", role="alert") if filled.trouble else None
    return _page(
        form.title,
        tag("p", form.intro) if form.intro else None,
        _account(account),
        trouble,
        tag(
            "form",
            tag("input", type="hidden", name=LINK, value=token),
            tag("input", type="hidden", name=GUARD, value=guard),
            rows,
            tag("p", tag("button", "Verify", type="submit")),
            method="post", action=action,
        ),
        style=f"{action}/style.css",
    )  # fmt: skip


def leaving_page(*, account: str, host: str, url: str, style: str) -> str:
    """Before a visitor goes on to the operator's provider at `url`."""
    return _page(
        "Verify your account",
        tag("p", "You are asked to show who you are. That happens at ", tag("strong", host),
            "; come back here afterwards."),
        _account(account),
        tag("p", tag("a", f"Continue to {host}", cls="button", href=url, rel="noreferrer")),
        style=style,
    )  # fmt: skip


def done_page(*, account: str, lasts: float, style: str) -> str:
    """The account is verified, for `lasts` seconds."""
    unit, word = next(
        ((unit, word) for unit, word in ((86_400, "day"), (3_600, "hour")) if lasts >= 2 * unit),
        (60, "minute"),
    )
    span = many(round(lasts / unit), word)
    return _page(
        "Verified",
        tag("p", f"Thank you. Go on where you were: the account is verified for {span}."),
        _account(account),
        style=style,
    )


def waiting_page(*, account: str, style: str) -> str:
    """The provider has not said anything yet. Looks again by itself."""
    return _page(
        "Not confirmed yet",
        tag("p", "We have not heard from the verification service yet. This page looks again "
            "every few seconds; you may also close it."),
        _account(account),
        style=style, again=5,
    )  # fmt: skip


def trouble_page(title: str, text: str, *, style: str) -> str:
    """Something that a visitor can do nothing about here; `text` says what to do instead."""
    return _page(title, tag("p", text), style=style)


def _account(account: str) -> Element:
    return tag("p", "Account ", tag("code", account), cls="note")


def _text(
    name: str, label: str, *, value: str = "", hint: str = "", autocomplete: str = "off"
) -> Element:
    described = f"{name}-hint" if hint else None
    return tag(
        "p",
        tag("label", label, **{"for": name}),
        tag("input", type="text", name=name, id=name, required="required", value=value,
            maxlength="500", autocomplete=autocomplete, autocapitalize="off", spellcheck="false",
            aria_describedby=described),
        tag("small", hint, id=described) if hint else None,
    )  # fmt: skip


def _page(title: str, *content: Child, style: str, again: int | None = None) -> str:
    refresh = None
    if again is not None:
        refresh = tag("meta", content=str(again), **{"http-equiv": "refresh"})
    return page(
        tag(
            "html",
            tag(
                "head",
                tag("meta", charset="utf-8"),
                tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
                tag("meta", name="robots", content="noindex"),
                tag("meta", name="color-scheme", content="light dark"),
                refresh,
                tag("title", title),
                tag("link", rel="icon", href="data:,"),
                tag("link", rel="stylesheet", href=style),
            ),
            tag("body", tag("main", tag("h1", title), content)),
            lang="en",
        )
    )


CSS: Final = """
:root {
  color-scheme: light dark;
  --paper: #fdfdfb; --ink: #1b1f24; --soft: #59626d; --line: #8a929a; --act: #0b5cad;
  --on-act: #ffffff; --alarm: #b3261e; --wash: #fbeceb;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171a; --ink: #e8e9e6; --soft: #a1a9b1; --line: #7b848d; --act: #7db8f0;
    --on-act: #10202f; --alarm: #ff8a7d; --wash: #33201e;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 17px/1.55 ui-sans-serif, system-ui, "Segoe UI", "Noto Sans", Roboto, Helvetica, Arial,
    sans-serif;
}
main { max-width: 34rem; margin: 0 auto; padding: 2.5rem 1.25rem; overflow-wrap: anywhere; }
h1 { margin: 0 0 1rem; font-size: 1.7rem; line-height: 1.2; }
p { margin: .6rem 0 1rem; }
code { font: .9em ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
label { display: block; font-weight: 600; }
small, .note { color: var(--soft); font-size: .9rem; }
input[type=text] {
  width: 100%; min-height: 2.75rem; padding: .5rem .7rem; border: 1px solid var(--line);
  border-radius: .4rem; background: var(--paper); color: var(--ink); font: inherit;
}
.box { display: flex; gap: .7rem; align-items: baseline; }
.box label { font-weight: 400; }
.box input { flex: none; width: 1.2rem; height: 1.2rem; accent-color: var(--act); }
button, .button {
  display: inline-block; min-height: 2.75rem; padding: .6rem 1.4rem; border: 0;
  border-radius: .4rem; background: var(--act); color: var(--on-act); font: inherit;
  font-weight: 600; text-decoration: none; cursor: pointer;
}
.trouble { padding: .7rem .9rem; border-left: .25rem solid var(--alarm); background: var(--wash); }
:focus-visible { outline: 3px solid var(--act); outline-offset: 2px; }
"""
