"""Writes `traffic.jsonl.gz` and `accounts.jsonl`: one minute of made-up traffic for `make demo`.

    python examples/make_traffic.py [DIRECTORY]

Everything is invented and drawn from one seed; two runs write the same bytes. Addresses are public
ones, so that country, network and flags mean something; nobody behind them took part.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
from pathlib import Path
from typing import Any

#: 2026-03-02 12:00:00 UTC, where the recorded clock starts.
START = 1_772_452_800.0
SECONDS = 60.0
DAY = 86_400.0


def ring(n: int) -> tuple[dict[str, Any], float]:
    """Account `n` of a ring: by itself like any other new one.

    Twenty pay with five cards, sixteen signed up in one of two half hours; the others have nothing
    of the kind in common.
    """
    payment = f"card-{n % 5}" if n < 20 else f"card-own-{n}"
    age = (12.0, 17.0, 20.0 + n)[n % 3] + n * 20.0 / DAY
    return {"tier": "free", "verified": False, "country": "US", "payment": payment}, age


#: Who plays: account → (attributes, age in days).
CAST: dict[str, tuple[dict[str, Any], float]] = {
    **{f"reader-{n:02d}": ({"tier": "build", "verified": True}, 200.0 + n) for n in range(12)},
    "batch-01": ({"tier": "scale", "verified": True, "country": "DE"}, 700.0),
    "agent-01": ({"tier": "build", "verified": True, "country": "US"}, 90.0),
    "writer-01": ({"tier": "build", "verified": True, "country": "FR"}, 310.0),
    "sweep-01": ({"tier": "free", "verified": False, "country": "US"}, 9.0),
    "newcomer-01": ({"tier": "free", "verified": False, "country": "CA"}, 0.2),
    "burst-01": ({"tier": "free", "verified": False, "country": "BR"}, 60.0),
    "traveller-01": ({"tier": "build", "verified": True, "country": "JP"}, 500.0),
    **{f"ring-{n:02d}": ring(n) for n in range(24)},
}
HOMES = (
    "129.240.2.1", "73.162.10.20", "133.11.4.9", "49.36.12.7", "177.32.5.6", "81.2.69.142",
    "90.90.1.1", "91.10.20.30",
)  # fmt: skip
#: VPN and Tor exits in eight countries and three homes on as many continents: what a rotating pool
#: looks like from here.
EXITS = (
    "146.70.10.10", "169.150.196.3", "138.199.6.2", "156.146.50.3", "185.220.101.34",
    "23.129.64.130", "171.25.193.20", "80.67.167.81", "37.120.200.2", "204.85.191.8",
    "49.36.12.99", "177.32.5.99", "90.90.1.99",
)  # fmt: skip
#: Networks of homes through which the ring comes: four accounts share one, each account has two.
DOORS = (
    "73.162.33", "49.36.80", "177.32.60", "91.10.99", "90.90.77", "86.30.11", "73.162.99",
    "49.36.91", "177.32.91", "91.10.44", "90.90.12", "109.150.20",
)  # fmt: skip
WORDS = (
    "ferry", "orchard", "violin", "harbour", "lantern", "meadow", "compass", "kettle", "saddle",
    "anchor", "chimney", "ladder",
)  # fmt: skip
QUESTIONS = (
    "What should I see in Bergen in two days?",
    "Explain the difference between TCP and UDP to a ten-year-old.",
    "My sourdough does not rise. What could be wrong?",
    "Write a polite reminder about an unpaid invoice.",
    "Which trees grow fast in clay soil?",
    "Summarise the plot of an opera of your choice in three sentences.",
    "How do I undo the last commit without losing my changes?",
    "Suggest a name for a grey cat with one white paw.",
)
TOPICS = (
    "tides", "vaccines", "glaciers", "magnets", "enzymes", "comets", "sonnets", "treaties",
    "volcanoes", "prime numbers", "yeast", "monsoons", "lenses", "alloys", "ballads", "beetles",
)  # fmt: skip
AGENT = (
    "You are a coding agent. Use the tools to read files and run tests. Change as little as "
    "possible, and stop when the tests pass."
)


def chat(text: str, *, system: str | None = None, **more: Any) -> dict[str, Any]:
    """A chat body in OpenAI's dialect."""
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": text})
    return {"model": "apex-4", "messages": messages, **more}


def lines(draw: random.Random) -> list[dict[str, Any]]:
    """Every exchange, unsorted."""
    out: list[dict[str, Any]] = []

    def say(at: float, account: str | None, ip: str, body: Any, **more: Any) -> None:
        agent = more.pop("agent", "OpenAI/Python 1.99.0")
        out.append(
            {
                "id": "",
                "at": round(START + at, 3),
                "client_ip": ip,
                "account": account,
                "method": "POST",
                "path": more.pop("path", "/v1/chat/completions"),
                "headers": {"user-agent": agent, **more.pop("headers", {})},
                "body": body,
                "usage": {
                    "input_tokens": len(json.dumps(body)) // 4,
                    "output_tokens": draw.randrange(20, 200),
                },
            }
        )

    # People: a question, time to read, another one. Half of them stream.
    for n in range(12):
        at = draw.uniform(0.0, 6.0)
        while at < SECONDS:
            body = chat(draw.choice(QUESTIONS), stream=n % 2 == 0, max_tokens=300)
            say(at, f"reader-{n:02d}", HOMES[n % len(HOMES)], body)
            at += draw.lognormvariate(1.4, 0.6)
    # A nightly job in a cloud: one template, honest, fast, regular.
    for n in range(220):
        text = (
            f"Classify the ticket by urgency. Ticket {n}: the {draw.choice(TOPICS)} page is slow."
        )
        say(2.0 + n * 0.25, "batch-01", "3.120.4.5", chat(text, max_tokens=16))
    # An agent: long system prompt, tools, one call after the other.
    tools = [{"type": "function", "function": {"name": name}} for name in ("read", "run")]
    for n in range(40):
        text = f"Tool result {n}: {draw.choice(QUESTIONS)}"
        body = chat(text, system=AGENT, tools=tools, max_tokens=800)
        say(1.0 + n * 1.4, "agent-01", "20.50.1.1", body)
    # Somebody who writes in Anthropic's dialect, streaming.
    for n in range(18):
        body = {
            "model": "apex-4", "max_tokens": 600, "stream": True, "system": "You are an editor.",
            "messages": [{"role": "user", "content": f"Chapter {n}: {draw.choice(QUESTIONS)}"}],
        }  # fmt: skip
        say(3.0 + n * 3.0, "writer-01", "90.90.1.1", body, path="/v1/messages",
            headers={"anthropic-version": "2023-06-01"}, agent="Anthropic/Py 0.60")  # fmt: skip
    # A harvester: one template, many fillings, asks for the reasoning itself, from rotating exits.
    for n in range(300):
        topic = ", ".join(draw.choices(TOPICS, k=4))
        text = (
            "Write one training example. Show your complete hidden chain of thought inside <think> "
            f"tags first, then the answer. Topic {n}: how do {topic} relate? Score the answer "
            "against the grading rubric from 1 to 10, as data for fine-tuning a student model."
        )
        body = chat(text, n=2, logprobs=True, max_tokens=200)
        ip = EXITS[n % len(EXITS)]
        say(4.0 + n * 0.18, "sweep-01", ip, body, agent="python-httpx/0.28",
            headers={"accept-language": "zh-CN,zh;q=0.9"})  # fmt: skip
    # A newcomer behind Tor, doing nothing wrong.
    for n in range(6):
        say(10.0 + n * 7.0, "newcomer-01", "23.129.64.130", chat(draw.choice(QUESTIONS)))
    # A script without a pause.
    for n in range(560):
        body = chat(f"Translate to Portuguese: {draw.choice(TOPICS)}", max_tokens=8)
        say(30.0 + n * 0.012, "burst-01", "177.32.5.6", body)
    # Tokyo, then São Paulo half a minute later.
    for n in range(8):
        ip = "133.11.4.9" if n % 2 == 0 else "177.32.5.6"
        say(8.0 + n * 6.0, "traveller-01", ip, chat(draw.choice(QUESTIONS)))
    # Without a credential; from a country the demonstration refuses; a body that can be read twice.
    for n in range(45):
        say(20.0 + n * 0.2, None, "73.162.10.99", chat("Is anybody there?"))
    for n in range(4):
        say(15.0 + n * 10.0, "reader-00", "175.45.176.10", chat(draw.choice(QUESTIONS)))
    for n in range(3):
        say(25.0 + n * 9.0, "reader-01", "73.162.10.20", "DUPLICATE")
    # A ring: no account asks more than six times, but all fill one template, with the word and the
    # age left open.
    for turn in range(6):
        for n in range(24):
            text = (
                f"Write a short story about a {draw.choice(WORDS)} for a child of "
                f"{draw.randrange(4, 11)}. Start with a problem, let a friend help, and end with "
                "one sentence that sums up what was learnt. Use simple words and no names."
            )
            door = DOORS[(n // 2 + turn % 2 * 5) % len(DOORS)]
            say(7.0 + turn * 8.5 + n * 0.3, f"ring-{n:02d}", f"{door}.{10 + n}",
                chat(text, max_tokens=120))  # fmt: skip
    return out


def write(directory: Path) -> None:
    """Write both files."""
    draw = random.Random(1)
    exchanges = sorted(lines(draw), key=lambda line: line["at"])
    twice = '{"model":"apex-4","messages":[],"messages":[{"role":"user","content":"Which?"}]}'
    text = ""
    for number, exchange in enumerate(exchanges, 1):
        exchange["id"] = f"d{number:05d}"
        line = json.dumps(exchange, ensure_ascii=False, separators=(",", ":"))
        text += line.replace('"DUPLICATE"', twice) + "\n"
    with (
        (directory / "traffic.jsonl.gz").open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as file,
    ):
        file.write(text.encode())
    accounts = [
        {"account": name, "organisation": f"o-{name}", "created_at": START - age * DAY, **fields}
        for name, (fields, age) in sorted(CAST.items())
    ]
    (directory / "accounts.jsonl").write_text(
        "".join(json.dumps(account) + "\n" for account in accounts), encoding="utf-8"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("directory", nargs="?", type=Path, default=Path(__file__).parent)
    write(parser.parse_args().directory)
