"""The scripts that change several keys in one step."""

from __future__ import annotations

from typing import Final

from gateway_guard.stores.scripts import script

ACQUIRE: Final = script(__package__, "acquire")
RENEW: Final = script(__package__, "renew")
RELEASE: Final = script(__package__, "release")
PUBLISH: Final = script(__package__, "publish")
SAVE: Final = script(__package__, "save")
BEAT: Final = script(__package__, "beat")
ENTER: Final = script(__package__, "enter")
ORDER: Final = script(__package__, "order")
