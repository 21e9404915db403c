"""From which risk on it is called what, wherever other programs read of it. Not measured."""

from __future__ import annotations

from typing import Final

CRITICAL: Final = 0.95
HIGH: Final = 0.85
MEDIUM: Final = 0.5
LOW: Final = 0.2
