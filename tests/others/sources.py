"""What a world is made of: real prompts, addresses and fingerprints, read from the shared data."""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from tests.evaluate.sets import CannotWorkError

#: Exchanges of `dev` whose headers are read: 32 browsers and 285 programs.
_HEADERS_FROM: Final = 8000
#: Hosting companies whose ranges are published, by the name of their file.
CLOUDS: Final = (
    "amazon", "digitalocean", "linode", "vultr", "microsoft", "google", "oracle"
)  # fmt: skip
#: Corpora that are read, without their ending.
_CORPORA: Final = (
    "benign_nq_open_queries", "benign_awesome_prompts", "benign_user_oriented_252",
    "benign_aider_history", "benign_batch_banking77", "benign_batch_multi30k_translate",
    "benign_batch_t0_templates", "benign_eval_bbh", "benign_judge_fastchat",
    "attack_gpteacher_code_roleplay", "attack_alpaca_gen", "attack_evol_instruct",
    "attack_prometheus_rubric", "attack_reverse_cot",
)  # fmt: skip


class _Meta(msgspec.Struct):
    session: str = ""
    tpl: str | None = None


class _Prompt(msgspec.Struct):
    prompt: str
    meta: _Meta


class _Sent(msgspec.Struct):
    headers: dict[str, str]


class Sources(msgspec.Struct, frozen=True):
    """Everything that is read.

    Attributes:
        prompts: corpus → its prompts.
        chats: what one person said in one conversation, turn by turn.
        sums: questions of arithmetic, as they were published.
        reasoner: a public system prompt that asks for long reasoning.
        homes: network number → addresses of its subscribers.
        ranges: hosting company, `vpn` or `hosting` (all others) → its networks, /24 and larger.
        browsers, programs: headers without the language, each kind once.
    """

    prompts: Mapping[str, tuple[str, ...]]
    chats: tuple[tuple[str, ...], ...]
    sums: tuple[str, ...]
    reasoner: str
    homes: Mapping[str, tuple[str, ...]]
    ranges: Mapping[str, tuple[str, ...]]
    browsers: tuple[dict[str, str], ...]
    programs: tuple[dict[str, str], ...]

    @classmethod
    def read(cls, data: Path, most: int | None = None) -> Sources:
        """Of a directory that holds `prompts`, `ip` and `traffic/dev`.

        `most`: lines read of each corpus, at least 1,000; all when None.

        Raises:
            CannotWorkError: one of its files is missing.
        """
        try:
            return _read(data, most)
        except OSError as error:
            raise CannotWorkError(
                f"{error.filename}: {error.strerror}. What worlds are made of does not come with "
                "this repository; name a directory that holds prompts, ip and traffic: --data"
            ) from error


def _read(data: Path, most: int | None) -> Sources:
    prompts, ip = data / "prompts", data / "ip"
    chats: dict[str, list[str]] = defaultdict(list)
    for one in _corpus(prompts / "benign_sharegpt_sample.jsonl.gz", most):
        chats[one.meta.session].append(one.prompt)
    sums = [
        one.prompt.split("\\boxed{}. ")[-1]
        for one in _corpus(prompts / "attack_gsm8k_cot.jsonl.gz", most)
        if one.meta.tpl in ("raw", "openthoughts")
    ]
    systems = msgspec.json.decode((prompts / "systems.json").read_bytes(), type=dict[str, str])
    browsers, programs = _headers(data / "traffic" / "dev" / "traffic.jsonl.gz")
    return Sources(
        prompts={
            name: tuple(one.prompt for one in _corpus(prompts / f"{name}.jsonl.gz", most))
            for name in _CORPORA
        },
        chats=tuple(tuple(turns) for turns in chats.values()),
        sums=tuple(dict.fromkeys(sums)),
        reasoner=systems["openthoughts_r1"],
        homes=_homes(ip / "eyeball.csv"),
        ranges={
            **{name: _networks(ip / f"la_{name}.txt") for name in CLOUDS},
            "vpn": _networks(ip / "x4b_vpn.txt"),
            "hosting": _networks(ip / "x4b_datacenter.txt"),
        },
        browsers=browsers,
        programs=programs,
    )


def _corpus(path: Path, most: int | None) -> list[_Prompt]:
    decode = msgspec.json.Decoder(_Prompt).decode
    with gzip.open(path) as lines:
        return [decode(line) for line in islice(lines, most)]


def _homes(path: Path) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = defaultdict(list)
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            found[row["asn"]].append(row["ip"])
    return {asn: tuple(addresses) for asn, addresses in found.items()}


def _networks(path: Path) -> tuple[str, ...]:
    """IPv4 only, written as `192.0.2.0/24`."""
    pairs = [line.partition("/") for line in path.read_text(encoding="utf-8").split()]
    return tuple(
        f"{address}/{length}"
        for address, _, length in pairs
        if ":" not in address and length.isdigit() and int(length) <= 24
    )


def _headers(path: Path) -> tuple[tuple[dict[str, str], ...], tuple[dict[str, str], ...]]:
    """Browsers' and programs', in the order in which they first appear."""
    decode = msgspec.json.Decoder(_Sent).decode
    kinds: dict[tuple[tuple[str, str], ...], None] = {}
    with gzip.open(path) as lines:
        for line in islice(lines, _HEADERS_FROM):
            headers = decode(line).headers
            headers.pop("accept-language", None)
            kinds[tuple(headers.items())] = None
    every = [dict(kind) for kind in kinds]
    return (
        tuple(one for one in every if "Mozilla" in one["user-agent"]),
        tuple(one for one in every if "Mozilla" not in one["user-agent"]),
    )
