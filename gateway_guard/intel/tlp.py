"""TLP 2.0 markings as OASIS publishes them for STIX 2.1: the same objects for everybody."""

from __future__ import annotations

from typing import Any, Final

from gateway_guard.errors import IntelError

#: Word → id of the marking. Source: OASIS cti-stix-common-objects, extension-definition
#: tlp-2.0; the levels themselves: FIRST TLP 2.0.
LEVELS: Final = {
    "clear": "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487",
    "green": "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb",
    "amber": "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421",
    "amber+strict": "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003",
    "red": "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1",
}
_EXTENSION: Final = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d"
_CREATED: Final = "2022-10-01T00:00:00.000Z"


def level(word: str) -> str:
    """`word` as one of `LEVELS`, with or without `TLP:` before it, in any case.

    Raises:
        IntelError: there is no such level.
    """
    found = word.lower().removeprefix("tlp:")
    if found not in LEVELS:
        raise IntelError(f"no TLP 2.0 level is called {word[:40]!r} (one of: {', '.join(LEVELS)})")
    return found


def marking(word: str) -> dict[str, Any]:
    """The marking-definition object of a level."""
    return {
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": LEVELS[word],
        "created": _CREATED,
        "name": f"TLP:{word.upper()}",
        "extensions": {_EXTENSION: {"extension_type": "property-extension", "tlp_2_0": word}},
    }
