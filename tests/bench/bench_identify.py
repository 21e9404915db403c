"""What identifying a 2 KB chat costs, part by part: `python -m tests.bench.bench_identify`."""

from __future__ import annotations

import ipaddress
import json
import random
import timeit
from collections.abc import Callable

from gateway_guard.core import (
    body,
    client_ip,
    credentials,
    folding,
    hints,
    paths,
    phrases,
    prompt,
    shapes,
)
from gateway_guard.core.identify import identify
from gateway_guard.core.sections import Identify, Inspect
from gateway_guard.core.seeds import seeds
from gateway_guard.types import Wire

SECRET = b"a secret of benchmarks, 32 bytes"
_PROSE = (
    "the of and to in a is that for it as was with be by on not he this are or his from at which "
    "but have an had they you were their one all we can her has there been if more when will would "
    "who so no said what up about into them could make time people year take good some server "
    "question language function returns value because system"
)
_WORDS = _PROSE.split(" ")


def text(words: int) -> str:
    """Made-up prose of that many words, a line break every dozen words."""
    chance = random.Random(1)
    parts = (
        chance.choice(_WORDS) + chance.choice(("", "", "", "", "", "", ",", ".", ".\n"))
        for _ in range(words)
    )
    return " ".join(parts)


def chat(words: int = 330) -> bytes:
    """A chat body with a system and a user message; 2 KB by default."""
    messages = [
        {"role": "system", "content": text(80)},
        {"role": "user", "content": text(words)},
    ]
    fields = {"model": "apex-4", "messages": messages, "stream": True, "max_tokens": 1024}
    return json.dumps(fields | {"temperature": 0.7}).encode()


HEADERS = [
    (b"host", b"api.test"),
    (b"content-type", b"application/json"),
    (b"content-length", b"2000"),
    (b"authorization", b"Bearer sk-0123456789abcdefghijklmnop"),
    (b"user-agent", b"OpenAI/Python 1.58.0"),
    (b"accept", b"application/json"),
    (b"accept-encoding", b"gzip, deflate"),
    (b"accept-language", b"en-US,en;q=0.9"),
    (b"x-stainless-lang", b"python"),
    (b"x-stainless-package-version", b"1.58.0"),
    (b"x-stainless-os", b"Linux"),
    (b"x-stainless-runtime", b"CPython"),
    (b"x-forwarded-for", b"198.51.100.7"),
]


def microseconds(call: Callable[[], object], number: int = 2000) -> float:
    """The best of seven means, microseconds."""
    return min(timeit.repeat(call, number=number, repeat=7)) / number * 1e6


def parts() -> dict[str, float]:
    """Name of each part → microseconds."""
    content = chat()
    rules = Identify(client_ip="x-forwarded-for", trusted=(ipaddress.ip_network("10.0.0.0/8"),))
    inspect = Inspect()
    wire = Wire(
        method="POST",
        raw_path=b"/v1/chat/completions",
        headers=HEADERS,
        peer="10.0.0.1",
        body=content,
    )
    fields = dict(HEADERS)
    keys = seeds(SECRET)
    document = body.parse(content)
    assert isinstance(document, dict)
    user = document["messages"][1]["content"]
    plain = folding.undressed(user)
    _, window = shapes.role_shape("user", plain, len(user), keys)
    squeezed = phrases.squeeze(user)
    trust = client_ip.Trust(rules.trusted)

    def whole() -> object:
        return identify(wire, rules, inspect, id="r", at=0.0, secret=SECRET, keys={})

    return {
        f"identify, {len(content)} B chat": microseconds(whole),
        "  path": microseconds(lambda: paths.canonical(wire.raw_path)),
        "  client IP": microseconds(lambda: client_ip.forwarded_for([b"198.51.100.7"], trust)),
        "  credential digest": microseconds(lambda: credentials.digest(SECRET, b"sk-0123456789")),
        "  client hints": microseconds(lambda: hints.client(fields, None, keys)),
        "  strict JSON": microseconds(lambda: body.parse(content)),
        "  prompt shape": microseconds(lambda: prompt.shape(document, keys)),
        "    one role's shape": microseconds(
            lambda: shapes.role_shape("user", plain, len(user), keys)
        ),
        "    fragments": microseconds(lambda: shapes.fragments(window, keys)),
        "    squeeze": microseconds(lambda: phrases.squeeze(user)),
        "    phrases": microseconds(lambda: prompt.elicitation().find(squeezed)),
    }


def main() -> None:
    """Print the table."""
    for name, cost in parts().items():
        print(f"{name:32s} {cost:7.2f} µs")


if __name__ == "__main__":
    main()
