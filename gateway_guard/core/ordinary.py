"""The bodies nearly everybody sends, read in one go."""

from __future__ import annotations

from typing import Any

from gateway_guard.core.conversation import Reader


def ordinary(document: dict[str, Any]) -> Reader | None:
    """The texts of a chat of nothing but turns of plain text; None for anything else."""
    messages = document.get("messages")
    if type(messages) is not list:
        return None
    chars = extra = 0
    user = before = ""
    system: list[str] = []
    try:
        for message in messages:
            text = message["content"]
            role = message["role"]
            if type(text) is not str or len(message) != 2:
                return None
            if role == "user":
                if text:
                    before = user
                    user = text
            elif role == "system" or role == "developer":
                system.append(text)
            elif role != "assistant":
                return None
            chars += len(text)
            if not text.isascii():
                extra += len(text.encode("utf-8", "replace")) - len(text)
    except (KeyError, TypeError):  # a member is missing, or what should be an object is none
        return None
    return Reader(system, user, before, len(messages), chars, extra)
