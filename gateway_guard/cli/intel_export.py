"""`gateway-guard intel export`: what confirmed campaigns are recognised by, fit to be handed on."""

from __future__ import annotations

import enum
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from gateway_guard.campaigns.linker import Linker
from gateway_guard.cli.casefile import FileOption, opened
from gateway_guard.cli.logs import as_named, say_what_was_left_out
from gateway_guard.cli.output import console
from gateway_guard.cli.outputs import check_outputs
from gateway_guard.cli.usage import usage
from gateway_guard.errors import UNDECODABLE, IntelError, SettingsError
from gateway_guard.files import write_whole
from gateway_guard.intel.bundle import bundle_of, signed
from gateway_guard.intel.evidence import Case, Traffic, case_of
from gateway_guard.intel.file import read_bounded
from gateway_guard.intel.groups import Group, group_of
from gateway_guard.intel.keys import Signer
from gateway_guard.intel.networks import shared_network
from gateway_guard.intel.sharing import DAYS, shared
from gateway_guard.intel.stix import bundle as stix_bundle
from gateway_guard.intel.tlp import level
from gateway_guard.pages.words import many
from gateway_guard.record.finding import Logs
from gateway_guard.settings import Settings

#: Days for which a signed bundle may be taken in.
_GOOD_FOR: Final = 30


class Document(enum.StrEnum):
    """What `export` writes."""

    BUNDLE = "bundle"
    STIX = "stix"


class _Line(msgspec.Struct):
    """What of a line of the decision log says who came from where."""

    account: str | None = None
    client_ip: str | None = None
    network: tuple[str, ...] = ()


def export(
    name: Annotated[
        str, typer.Option("--name", help="Who you are to those who read it, e.g. acme.")
    ],
    campaign: Annotated[
        list[str] | None,
        typer.Option("--campaign", help="Only these; by default all that are sure enough."),
    ] = None,
    confidence: Annotated[
        float, typer.Option("--min-confidence", min=0.5, max=1.0, help="What counts as confirmed.")
    ] = 0.99,
    traffic: Annotated[
        list[Path] | None,
        typer.Option(
            "--traffic",
            help="Decision logs, plain or gzipped: which networks members came from. Without: "
            "none.",
        ),
    ] = None,
    format: Annotated[
        Document, typer.Option("--format", help="bundle: signed, for guards; stix: for others.")
    ] = Document.BUNDLE,
    key: Annotated[
        Path | None, typer.Option("--key", help="For a bundle: the key of `intel keygen`.")
    ] = None,
    tlp: Annotated[str, typer.Option("--tlp", help="How far it may be passed on.")] = "amber",
    days: Annotated[
        int | None,
        typer.Option(
            "--days", min=1, max=366,
            help="Days an indicator holds after it was last seen; by default 14 for networks, 30 "
            "for client software, 90 for templates.",
        ),
    ] = None,
    file: FileOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The file to write; else printed.")
    ] = None,
) -> None:  # fmt: skip
    """Hand on what confirmed campaigns are recognised by: no accounts, no addresses, no text."""
    settings = Settings.from_environment()
    with usage():
        marking = level(tlp)
    who = _who(name)
    if format is Document.BUNDLE and key is None:
        raise typer.BadParameter(
            "--key is missing: who signs? `gateway-guard intel keygen` makes one"
        )
    case = opened(file)
    check_outputs({"--out": out}, case.file.path, case.file.reviews, key, *(traffic or ()))
    linker = case.linker
    held, now = dict(DAYS) if days is None else dict.fromkeys(DAYS, days), time.time()
    cases = confirmed(linker, campaign, confidence, seen_in(traffic or ()))
    found = [one.current(now, held) for one in cases]
    group = group_of(settings.intel_group_key) if settings.intel_group_key is not None else None
    if format is Document.STIX:
        document = stix_bundle(found, who, tlp=marking, group=group, days=held)
        data = msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"
    else:
        data = _signed(found, who, key, marking, group, held, now)
    if out is None:
        sys.stdout.write(data.decode())
    else:
        try:
            write_whole(out, data, 0o644)
        except OSError as error:
            raise IntelError(f"{out}: {error.strerror}") from error
    if not traffic:
        typer.echo("networks were left out: only --traffic says where members came from", err=True)
    _tell(found, group)


def confirmed(
    linker: Linker, names: list[str] | None, least: float, traffic: Traffic
) -> Iterator[Case]:
    """What is fit to be handed on of the campaigns named, else of those that sure at `least`.

    Raises:
        typer.BadParameter: none is held by a name.
    """
    campaigns = {one.id: one for one in linker.campaigns()}
    for name in names or ():
        if name not in campaigns:
            held = ", ".join(sorted(campaigns)) or "none"
            raise typer.BadParameter(f"no campaign {name!r} is held (held: {held})")
    for name, campaign in campaigns.items():
        if name in names if names else campaign.confidence >= least:
            yield case_of(linker, campaign, traffic)


def _signed(
    cases: Iterable[Case], who: str, key: Path | None, tlp: str, group: Group | None,
    days: Mapping[str, int], now: float,
) -> bytes:  # fmt: skip
    if key is None:
        raise SettingsError("--key is missing")
    try:
        signer = Signer.read(read_bounded(key, 1 << 16), str(key))
    except FileNotFoundError:
        raise IntelError(f"{key}: no such file; `gateway-guard intel keygen` makes one") from None
    told = [one.indicator for case in cases for one in shared(who, case, group, days)]
    bundle = bundle_of(
        told, now=now, days=_GOOD_FOR, tlp=tlp, group=group.id if group is not None else ""
    )
    return signed(bundle, signer)


def seen_in(logs: Iterable[Path]) -> Traffic:
    """Who came from where, as decision logs tell. Lines that cannot be read are counted.

    Raises:
        SourceError: a log cannot be opened.
        IntelError: one cannot be read to its end: half of who came makes strangers of the others.
    """
    traffic, searched = Traffic(), Logs(as_named(logs))
    decode = msgspec.json.Decoder(_Line).decode
    for found in searched:
        try:
            read = decode(found.text)
            if read.account and read.client_ip:
                network = shared_network(read.client_ip)
                traffic.note(network, read.account, read.network, found.at.timestamp())
        except (*UNDECODABLE, IntelError):
            searched.disown(found)
    if searched.damaged:
        raise IntelError(searched.damaged[0])
    say_what_was_left_out(searched)
    return traffic


def _who(name: str) -> str:
    text = " ".join(name.split())
    if not 1 <= len(text) <= 80 or not text.isprintable():
        raise typer.BadParameter("--name: 1 to 80 printable characters that others know you by")
    return text


def _tell(cases: list[Case], group: Group | None) -> None:
    """Say on standard error what was handed on, and what was kept back and why."""
    out = console(stderr=True)
    if not cases:
        out.print("no campaign is held that surely; `campaign list` shows them all")
    for case in cases:
        kinds = Counter(one.kind for one in case.findings)
        if group is None:
            sealed = kinds.pop("client", 0) + kinds.pop("template", 0)
            if sealed:
                out.print(
                    f"{many(sealed, 'digest')} left out: nobody could compare them without "
                    "GATEWAY_GUARD_INTEL_GROUP_KEY_FILE"
                )
        counts = ", ".join(f"{count} {kind}" for kind, count in kinds.items()) or "nothing"
        out.print(f"{case.campaign.id}: {counts} handed on")
        for reason, count in case.kept_back.items():
            out.print(f"  kept back: {count} {reason}")
