"""One world: its clock and accounts, what each of them sends, and the three files of a set."""

from __future__ import annotations

import csv
import gzip
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway_guard.network.database import NetworkDatabase
from tests.others.places import DAY, HOUR, Place, Places
from tests.others.sources import Sources
from tests.others.texts import Say, Talk, Texts
from tests.others.times import Times

#: Accounts of a whole world, about.
ACCOUNTS: Final = 4000
#: Mid-May 2026, Unix seconds: when the first world begins.
_EPOCH: Final = 1_779_062_400.0
_MODELS: Final = ("nova-3", "nova-3-lite")
_NEW_MODEL: Final = "nova-4"
#: Seconds after its release from which an account that waits for a model asks for it.
_WAITED: Final = 600.0
#: Most bytes of one turn, of a system prompt, and of all turns sent with it: a body has < 6 KB.
_TURN, _SYSTEM, _HISTORY = 2600, 1000, 3900
_LETTERS: Final = "23456789abcdefghjkmnpqrstuvwxyz"
_LANGUAGES: Final = ("en-US,en;q=0.9", "de-DE,de;q=0.9", "pt-BR,pt;q=0.9")
#: Instead of a payment: one of its own, or none for a quarter of accounts.
OWN: Final = "own"


class Plan(msgspec.Struct, kw_only=True):
    """One account.

    Attributes:
        times: when it sends; those before its sign-up are left out.
        place, say: from where, and what.
        headers: of its client; any client's when None.
        payment: a card; None for none.
        created: when it signed up, Unix seconds; when None, long ago mostly, one in ten during the
            traffic.
        organisation: None for one of its own.
        tier: None for any.
        verified: None for three in ten.
        temperature: None when it names none.
        pivot: share of requests that ask for the new model from ten minutes after its release; when
            None, half of accounts never do, the others a day later or so and to different degrees.
        tools: what its requests bring along.
    """

    times: Sequence[float]
    place: Place
    say: Say
    headers: Mapping[str, str] | None = None
    payment: str | None = OWN
    created: float | None = None
    organisation: str | None = None
    programme: str | None = None
    tier: str | None = None
    verified: bool | None = None
    temperature: float | None = None
    pivot: float | None = None
    tools: Sequence[Mapping[str, Any]] = ()


class World:
    """Accounts and exchanges, made one after the other from one seed.

    Attributes:
        chance: the only source of chance.
        start, end, release: of the traffic, and of the new model in it, Unix seconds.
        places, texts, times: what accounts are made of.
    """

    def __init__(
        self, seed: int, sources: Sources, accounts: int = ACCOUNTS, *, days: int | None = None
    ) -> None:
        """`accounts`: about how many; `days`: how long, seven to ten when None."""
        self.chance = chance = random.Random(f"others/{seed}")
        self._seed, self._scale, self._sources = seed, accounts / ACCOUNTS, sources
        self.start = _EPOCH + seed % 5 * 3 * DAY
        length = days or chance.choice((7, 8, 9, 10))
        self.end = self.start + length * DAY
        self.release = self.start + chance.uniform(0.3, 0.7) * length * DAY
        self.places = Places(chance, sources)
        self.texts = Texts(chance, sources)
        self.times = Times(chance, self.start, self.end)
        self._network = NetworkDatabase.bundled()
        self._names: set[str] = set()
        self._accounts: list[dict[str, Any]] = []
        self._labels: list[tuple[str, str, str, str, str]] = []
        self._exchanges: list[tuple[float, bytes]] = []

    def begin(self, group: str) -> None:
        """From now on chance is this group's: what others draw does not change who is in it."""
        self.chance.seed(f"others/{self._seed}/{group}")

    def size(self, usual: float, spread: float = 0.2, *, least: int = 2) -> int:
        """How many of something there are `usual` of in a whole world, give or take `spread`."""
        return max(least, int(usual * self._scale * self.chance.uniform(1 - spread, 1 + spread)))

    def some_day(self, weeks: int = 0) -> float:
        """A time in the 39 days that end a day before the traffic.

        `weeks`: so early that this much later the traffic still has two days to go.
        """
        latest = min(self.start - DAY, self.end - (2 + 7 * weeks) * DAY)
        return self.chance.uniform(self.start - 40 * DAY, latest)

    def name(self, prefix: str) -> str:
        """An opaque name nobody has yet."""
        while True:
            name = prefix + "".join(self.chance.choices(_LETTERS, k=11))
            if name not in self._names:
                self._names.add(name)
                return name

    def card(self) -> str:
        """A new means of payment."""
        return self.name("p_")

    def program(self) -> dict[str, str]:
        """Headers of a library."""
        return {**self.chance.choice(self._sources.programs), "accept-language": "*"}

    def browser(self) -> dict[str, str]:
        """Headers of a browser."""
        language = self.chance.choice(_LANGUAGES)
        return {**self.chance.choice(self._sources.browsers), "accept-language": language}

    def client(self) -> dict[str, str]:
        """Headers of either."""
        return self.browser() if self.chance.random() < 0.5 else self.program()

    def add(self, group: str, plan: Plan, campaign: tuple[str, str] | None = None) -> None:
        """An honest account of a class; an attacker's with `campaign`, its name and scenario."""
        chance = self.chance
        created = plan.created
        if created is None:
            recent = chance.random() >= 0.9
            created = chance.uniform(self.start, self.end - 2 * DAY) if recent else self._long_ago()
        times = [at for at in plan.times if max(self.start, created + 60) <= at < self.end]
        if not times:
            few = range(chance.randint(2, 5))
            times = sorted(chance.uniform(max(created + 60, self.start), self.end) for _ in few)
        account = self.name("a_")
        payment = plan.payment
        if payment == OWN:
            payment = self.card() if chance.random() < 0.75 else None
        verified = chance.random() < 0.3 if plan.verified is None else plan.verified
        self._accounts.append(
            {
                "account": account,
                "organisation": plan.organisation or self.name("o_"),
                "created_at": int(created),
                "country": self._network.lookup(plan.place(times[0])).country or "US",
                "payment": payment,
                "programme": plan.programme,
                "tier": plan.tier or chance.choices(("free", "build", "scale"), (4, 5, 1))[0],
                "verified": verified,
            }
        )
        label = "benign" if campaign is None else "attack"
        self._labels.append((account, label, *(campaign or ("", "")), group))
        self._send(account, plan, times)

    def _long_ago(self) -> float:
        chance = self.chance
        ages = (chance.expovariate(1 / 20), chance.expovariate(1 / 90), chance.uniform(0, 500))
        return self.start - chance.choice(ages) * DAY

    def _send(self, account: str, plan: Plan, times: Sequence[float]) -> None:
        """All exchanges of an account: conversations, each until it ends or three hours pass."""
        chance, encode = self.chance, msgspec.json.encode
        headers = dict(plan.headers or self.client())
        path = chance.choice(("/v1/chat/completions",) * 3 + ("/v1/messages",))
        if "Anthropic" in headers["user-agent"]:
            path = "/v1/messages"
        elif "OpenAI" in headers["user-agent"]:
            path = "/v1/chat/completions"
        fixed: dict[str, Any] = {
            "stream": chance.random() < 0.5,
            "max_tokens": chance.choice((512, 1024, 2048, 4096)),
        }
        if plan.temperature is not None:
            fixed["temperature"] = plan.temperature
        if plan.tools:
            fixed["tools"] = plan.tools
        model = self._model(plan)
        talk, turn, history = Talk(None, []), 0, list[dict[str, str]]()
        before = times[0]
        for at in times:
            if turn >= len(talk.turns):
                talk, turn, history = plan.say(), 0, []
            elif at - before > 3 * HOUR:
                history = []
            said, before = _cut(talk.turns[turn], _TURN), at
            turn += 1
            history = _fitting([*history[-6:], {"role": "user", "content": said}])
            system = _cut(talk.system, _SYSTEM) if talk.system else ""
            body: dict[str, Any] = {"model": model(at)}
            messages = history
            if system and path == "/v1/messages":
                body["system"] = system
            elif system:
                messages = [{"role": "system", "content": system}, *history]
            body |= {"messages": messages, **fixed}
            length = len(system) + sum(len(message["content"]) for message in history)
            answer = min(fixed["max_tokens"], int(chance.lognormvariate(5, 1))) + 3
            line = {
                "client_ip": plan.place(at), "account": account, "method": "POST", "path": path,
                "headers": headers, "body": body,
                "usage": {"input_tokens": length // 4 + 8, "output_tokens": answer},
            }  # fmt: skip
            self._exchanges.append((at, encode(line)))
            topic = said.split(maxsplit=1)[0] if said.split() else "this"
            reply = f"The answer on {topic[:40]} depends on two things."
            history = [*history, {"role": "assistant", "content": reply}]

    def _model(self, plan: Plan) -> Callable[[float], str]:
        """The model an account asks for at a time."""
        chance = self.chance
        usual = chance.choices(_MODELS, (6, 4))[0]
        share = plan.pivot
        if share is None:
            share = chance.choices((0.0, 0.1, 0.5, 0.9), (50, 20, 15, 15))[0]
            moves = self.release + chance.expovariate(1 / DAY)
        else:
            moves = self.release + _WAITED
        return lambda at: _NEW_MODEL if at >= moves and chance.random() < share else usual

    def summary(self) -> str:
        """How large it is."""
        attackers = sum(label == "attack" for _, label, *_ in self._labels)
        return (
            f"{len(self._accounts):,} accounts, {attackers:,} of them attackers', "
            f"{len(self._exchanges):,} exchanges"
        )

    def write(self, directory: Path) -> None:
        """The three files of a labelled set; the directory is made where it is missing."""
        directory.mkdir(parents=True, exist_ok=True)
        self._exchanges.sort(key=lambda exchange: exchange[0])
        path = directory / "traffic.jsonl.gz"
        # Neither name nor time, so that the same traffic is the same bytes.
        with (
            path.open("wb") as raw,
            gzip.GzipFile("", "wb", compresslevel=3, fileobj=raw, mtime=0) as file,
        ):
            for number, (at, line) in enumerate(self._exchanges, 1):
                file.write(b'{"id":"x%07d","at":%.3f,%b\n' % (number, at, line[1:]))
        accounts = sorted(self._accounts, key=lambda one: str(one["account"]))
        text = b"".join(msgspec.json.encode(one) + b"\n" for one in accounts)
        (directory / "accounts.jsonl").write_bytes(text)
        with (directory / "labels.csv").open("w", newline="", encoding="utf-8") as labels:
            rows = csv.writer(labels, lineterminator="\n")
            rows.writerow(("account", "label", "campaign", "scenario", "class"))
            rows.writerows(self._labels)


def _cut(text: str, longest: int) -> str:
    """At most `longest` bytes, what is too much taken from the middle."""
    if len(text) * 4 <= longest or len(data := text.encode()) <= longest:
        return text
    half = (longest - 7) // 2
    return f"{data[:half].decode(errors='ignore')} [...] {data[-half:].decode(errors='ignore')}"


def _fitting(history: list[dict[str, str]]) -> list[dict[str, str]]:
    """The history without its oldest turns, as far as it is too long; it begins with the user."""
    first, length = len(history), 0
    for place in range(len(history) - 1, -1, -1):
        length += len(history[place]["content"].encode())
        if length > _HISTORY:
            break
        if history[place]["role"] == "user":
            first = place
    return history[min(first, len(history) - 1) :]
