"""The quick reader of ordinary chats leaves to the careful one whatever it does not know."""

from __future__ import annotations

from typing import Any

import pytest

from gateway_guard.core.ordinary import ordinary


def chat(*turns: tuple[object, object], **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": text, **more} for role, text in turns]}


@pytest.mark.parametrize(
    "role", ["tool", "function", "User", "system2", "developers", "users", "z", "", "\x00", 1, None]
)
def test_a_role_it_does_not_know_is_not_its_business(role: object) -> None:
    assert ordinary(chat(("user", "hello"), (role, "text"))) is None


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"messages": "hello"},
        {"messages": [{"role": "user"}]},
        {"messages": ["hello"]},
        chat(("user", ["hello"])),
        chat(("user", None)),
        chat(("user", "hello"), name="me"),
    ],
)
def test_nor_is_what_is_no_turn_of_plain_text(document: dict[str, Any]) -> None:
    assert ordinary(document) is None


def test_what_it_knows_it_counts() -> None:
    found = ordinary(chat(("system", "a"), ("developer", "bc"), ("user", "one"), ("assistant", "é"),
                          ("user", ""), ("user", "two")))  # fmt: skip

    assert found is not None
    assert (found.system, found.user, found.before) == (["a", "bc"], "two", "one")
    assert (found.messages, found.chars, found.extra, found.media) == (6, 10, 1, 0)
