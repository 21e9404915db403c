"""A sidecar in front of the mock model APIs, and what it decided, for tests with real clients."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.mock_models import Models, served
from tests.e2e.servers import Sidecar
from tests.servers import until

#: The model a client asks for is what becomes of its request.
POLICY = """\
version: 1
mode: enforce
limits:
  tokens: { per: account, tokens: 1000000/minute }
  soon: { per: account, requests: 2/minute, burst: 1, when: { model: scarce } }
  late: { per: account, requests: 2/hour, burst: 1, when: { model: rare } }
  single: { per: account, concurrent: 1, when: { model: single } }
rules:
  - { name: no, when: { model: refused }, then: deny }
  - { name: embargo, when: { model: embargoed }, then: deny, status: 451 }
  - { name: stale, when: { model: stale }, then: deny, status: 401 }
  - { name: gone, when: { model: gone }, then: deny, status: 404 }
  - name: who
    when: { model: unverified }
    then: challenge
    url: https://verify.example/you
  - { name: busy, when: { model: busy }, then: throttle, status: 503, retry_after: 7 seconds }
"""


class Guarded:
    """The sidecar with its decision log.

    Attributes:
        url: where clients find it, without a path.
        admin: its admin port, likewise.
        models: the upstream.
    """

    def __init__(self, sidecar: Sidecar, models: Models, log: Path) -> None:
        self.url = f"http://127.0.0.1:{sidecar.port}"
        self.admin = f"http://127.0.0.1:{sidecar.admin}"
        self.models = models
        self._log = log
        self._marks = itertools.count()
        self._http = httpx.Client(base_url=self.url, verify=False)

    def decisions(self, **fields: object) -> list[dict[str, Any]]:
        """Every decision until now whose line has these fields, in order.

        Lines are written in the order requests end: once a later request's is there, all are.
        """
        mark = f"/mark/{next(self._marks)}"
        self._http.get(mark)
        until(lambda: any(line["path"] == mark for line in self._lines()), "the line is written")
        return [line for line in self._lines() if all(line.get(k) == v for k, v in fields.items())]

    def close(self) -> None:
        self._http.close()

    def _lines(self) -> list[dict[str, Any]]:
        if not self._log.exists():
            return []
        # What follows the last line feed is being written.
        text = self._log.read_text("utf-8")
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


@contextmanager
def guarded(folder: Path, policy: str = POLICY, *flags: str) -> Iterator[Guarded]:
    """The mock, and the sidecar before it, while the block runs."""
    models = Models()
    log = folder / "decisions.jsonl"
    with (
        served(models) as url,
        Sidecar(folder, url, "--decision-log", str(log), *flags, policy=policy) as sidecar,
        closing(Guarded(sidecar, models, log)) as running,
    ):
        yield running
