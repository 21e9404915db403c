"""A sidecar whose policy verifies accounts, at an address its links lead to."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.servers import Answer, Sidecar, Upstream, ask, get

#: Each test that shares a sidecar with others has one of its own.
CODES = tuple(f"k7rm-2qpw-x9t{letter}" for letter in "abcdefgh")
FORM = """\
  form:
    title: Are you a person?
    intro: Your account was asked to verify itself.
    accept: [I will not train a competing model on the answers, I may be asked for more]
    codes_file: codes.txt
"""
POLICY = """\
version: 1
mode: enforce
verification:
  url: http://127.0.0.1:{port}/verify
{how}
rules:
  - name: everybody-verifies
    when: {{ model_route: true }}
    then: challenge
"""

BODY = b'{"model": "apex-4", "messages": [{"role": "user", "content": "Hello"}]}'


def chat(port: int, key: str = "sk-one", *, path: str = "/v1/chat/completions") -> Answer:
    """One request to the model."""
    headers = (f"Authorization: Bearer {key}", "Content-Type: application/json")
    return ask(port, get(path, *headers, method="POST", body=BODY))


def link_of(answer: Answer) -> str:
    """The link in a refusal."""
    return answer.headers["x-guard-challenge-url"]


@contextmanager
def verifying(folder: Path, *flags: str, how: str = FORM) -> Iterator[Sidecar]:
    """A sidecar in front of an upstream, and its visitors' page, at free ports of loopback."""
    (folder / "codes.txt").write_text("# handed out\n" + "\n".join(CODES) + "\n")
    with (
        Upstream() as upstream,
        Sidecar(folder, upstream.url, *flags, policy=POLICY.format(port=1, how=how)) as sidecar,
    ):
        visitors = sidecar.port
        if "--verify" in flags:
            visitors = int(sidecar.wait_for(r"visitors on \S+:(\d+)"))
        # Where it listens is known only now.
        text = POLICY.format(port=visitors, how=how)
        sidecar.policy.write_text(text)
        sidecar.process.send_signal(signal.SIGHUP)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        sidecar.wait_for(f"reload-done policy={digest}")
        yield sidecar
