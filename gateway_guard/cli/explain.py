"""`gateway-guard explain`: one request through the real guard, and why it was decided so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from gateway_guard.accounts.attributes import FIELDS, country, created, flag, moment
from gateway_guard.accounts.file import FileDirectory
from gateway_guard.accounts.none import NoDirectory
from gateway_guard.building import build_guard
from gateway_guard.cli.output import Format, FormatOption, console, print_json
from gateway_guard.cli.printable import printable
from gateway_guard.cli.traffic import MOST_TOKENS
from gateway_guard.cli.tree import print_tree
from gateway_guard.core.client_ip import peer_address
from gateway_guard.core.explain import explain_tree
from gateway_guard.core.sections import Identify
from gateway_guard.errors import UNDECODABLE, SourceError
from gateway_guard.guard import Guard
from gateway_guard.policy.diagnostics import suggest
from gateway_guard.record.line import line
from gateway_guard.settings import Settings
from gateway_guard.types import Action, Exchange, Outcome, Usage, Wire

_DAY: Final = 86_400.0
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
_MOST: Final = 100_000
_COLOURS: Final = {
    Action.ALLOW: "green",
    Action.RESTRICT: "yellow",
    Action.CHALLENGE: "yellow",
    Action.THROTTLE: "red",
    Action.DENY: "red",
}

#: No upstream counts more in one answer.
_Tokens = Annotated[int, msgspec.Meta(ge=-MOST_TOKENS, le=MOST_TOKENS)]


class Earlier(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Requests before the one explained; what is not said is as in that one.

    Attributes:
        ago: seconds before the explained request at which the first one arrives, >= 0.
        times: how many, one every `every` seconds.
        body: `{n}` in any text becomes a word that differs from request to request.
        input_tokens, output_tokens: what each cost.
    """

    ago: float = 3_600.0
    times: int = 1
    every: float = 1.0
    method: str | None = None
    path: str | None = None
    headers: dict[str, str] | None = None
    body: Any = None
    peer: str | None = None
    input_tokens: _Tokens | None = None
    output_tokens: _Tokens | None = None


class Description(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A request, described: what arrives on the wire, and what the operator knows of the account.

    Attributes:
        headers: name → value, as the client (or the proxy before us) sends them.
        body: a JSON value, sent as JSON; or a string, sent as it stands.
        peer: address of the other end of the connection.
        account: attributes as the application would pass them (`tier`, `verified`, `country`, …);
            `age_days` may stand for `created_at`; `account` names the account when no header does.
        at: Unix seconds; now when None.
        history: what came before, oldest first.
    """

    method: str = "POST"
    path: str = "/v1/chat/completions"
    headers: dict[str, str] = {}
    body: Any = None
    peer: str | None = "198.51.100.7"
    account: dict[str, Any] = {}
    at: float | None = None
    history: list[Earlier] = []


def explain(description: Description, guard: Guard, clock: list[float]) -> Exchange:
    """The exchange of `description`, after its history went through the same guard.

    `clock` holds the one number the guard reads as the time.
    """
    now = clock[0]
    count = sum(max(part.times, 0) for part in description.history)
    if count > _MOST:
        raise SourceError(f"history: {count} requests; at most {_MOST} are replayed")
    earlier = sorted(
        (now - part.ago + part.every * index, order, index, part)
        for order, part in enumerate(description.history)
        for index in range(part.times)
    )

    most = guard.policy.inspect.max_body

    async def run() -> Exchange:
        for at, _, index, part in earlier:
            clock[0] = min(at, now)
            exchange = await guard.decide(_earlier(description, part, index, now, most))
            usage = Usage(
                input_tokens=part.input_tokens,
                output_tokens=part.output_tokens,
                outcome=Outcome.REFUSED if exchange.decision.action.refuses else Outcome.COMPLETED,
            )
            await guard.settle(exchange, usage, now=clock[0])
        clock[0] = now
        return await guard.decide(
            _wire(
                description.method, description.path, description.headers, description.body,
                description.peer, _attributes(description, now), most,
            )
        )  # fmt: skip

    return asyncio.run(run())


def _earlier(whole: Description, part: Earlier, index: int, now: float, most: int) -> Wire:
    body = whole.body if part.body is None else _filled(part.body, _word(index))
    return _wire(
        part.method or whole.method, part.path or whole.path,
        whole.headers if part.headers is None else part.headers, body,
        part.peer or whole.peer, _attributes(whole, now), most,
    )  # fmt: skip


def _wire(
    method: str,
    path: str,
    headers: dict[str, str],
    body: Any,
    peer: str | None,
    state: dict[str, Any] | None,
    most: int,
) -> Wire:
    fields = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    raw: bytes | None = None
    if body is not None:
        raw = body.encode() if isinstance(body, str) else msgspec.json.encode(body)
        if not any(name == b"content-type" for name, _ in fields):
            fields.append((b"content-type", b"application/json"))
    path, _, query = path.partition("?")
    large = raw is not None and len(raw) > most
    return Wire(
        method=method.upper(), raw_path=path.encode(), headers=fields, peer=peer,
        body=None if large else raw, body_too_large=large, state=state, query=query.encode(),
    )  # fmt: skip


def _attributes(description: Description, now: float) -> dict[str, Any] | None:
    attributes = dict(description.account)
    age = attributes.pop("age_days", None)
    if isinstance(age, int | float):
        attributes["created_at"] = now - age * _DAY
    return attributes or None


def _filled(value: Any, word: str) -> Any:
    if isinstance(value, str):
        return value.replace("{n}", word)
    if isinstance(value, list):
        return [_filled(item, word) for item in value]
    if isinstance(value, dict):
        return {key: _filled(item, word) for key, item in value.items()}
    return value


def _word(index: int) -> str:
    word = ""
    while True:
        index, letter = divmod(index, 26)
        word += _LETTERS[letter]
        if not index:
            return f"{word}-{word[::-1]}"


_FORM: Final = (
    'A described request is one JSON object, {"path": …, "headers": …, "body": …}; recorded '
    "traffic, one a line, is for `gateway-guard replay`"
)


def _read(path: Path) -> Description:
    try:
        data = path.read_bytes()
        if not data.strip():
            raise SourceError(f"{path}: nothing in it; `{{}}` is the smallest request")
        document = msgspec.json.decode(data)
        if isinstance(document, dict) and "model" in document:
            raise SourceError(
                f'{path}: this is a body alone; write {{"body": …}} around it, and beside it path, '
                "headers and peer, where they matter"
            )
        _only(path, "", document, Description.__struct_fields__)
        found = msgspec.json.decode(data, type=Description)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from error
    except msgspec.ValidationError as error:
        hint = "" if isinstance(document, dict) else f". {_FORM}"
        raise SourceError(f"{path}: {error}{hint}") from error
    except UNDECODABLE as error:
        raise SourceError(f"{path}: {error}. {_FORM}") from error
    if found.at is not None and (found.at < 0.0 or moment(found.at) is None):
        raise SourceError(f"{path}: `at` is Unix seconds, not milliseconds")
    for peer in (found.peer, *(part.peer for part in found.history)):
        if peer is not None and peer_address(peer) is None:
            raise SourceError(
                f"{path}: `peer` is no address: '{printable(peer[:60])}'; null is a unix socket"
            )
    for name, (reads, form) in _READ_AS.items():
        value = found.account.get(name)
        if value is not None and reads(value) is None:
            raise SourceError(
                f"{path}: `account.{name}` is '{printable(str(value)[:60])}', which says nothing: "
                f"write {form}"
            )
    return found


#: Attribute of an account → how it is read, and as what it is written. What a running guard passes
#: over is a slip of the pen here.
_READ_AS: Final[dict[str, tuple[Callable[[object], object], str]]] = {
    "country": (country, "two letters, e.g. NO"),
    "created_at": (created, "an ISO 8601 date or time, or Unix seconds"),
    "age_days": (lambda value: value if isinstance(value, int | float) else None, "a number"),
    "verified": (flag, "true or false"),
}


def _only(path: Path, within: str, found: object, known: Iterable[str]) -> None:
    """Whether all members of an object are known: one that is misspelt would say nothing.

    Raises:
        SourceError: one is not; says which there are.
    """
    known = list(dict.fromkeys(known))
    for name in found if isinstance(found, dict) else ():
        if name not in known:
            where = f" in `{within}`" if within else ""
            raise SourceError(
                f"{path}: unknown member '{printable(name[:60])}'{where}; {suggest(name, known)}"
            )


def _account_members(identify: Identify) -> list[str]:
    """What `account` of a description may hold under a policy."""
    named = [source.state_key for source in identify.accounts if source.kind == "state"]
    return [*FIELDS, "age_days", *named]


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""

    @app.command("explain")
    def command(
        request: Annotated[
            Path,
            typer.Argument(
                metavar="REQUEST", help="A request: JSON with method, path, headers, body, peer, …"
            ),
        ],
        policy: Annotated[Path, typer.Option("--policy", "-p", help="The policy file.")],
        accounts: Annotated[
            Path | None, typer.Option("--accounts", help="Account attributes, JSON lines or CSV.")
        ] = None,
        format: FormatOption = Format.TEXT,
    ) -> None:
        """Decide one described request as the running guard would, and print why."""
        description = _read(request)
        # What is made up here must not be learnt, nor charged to anybody, by the running guard.
        settings = msgspec.structs.replace(
            Settings.from_environment(), campaigns_file=None, store=None, webhook_url=None
        )
        clock = [time.time() if description.at is None else description.at]
        guard = build_guard(
            policy,
            settings=settings,
            accounts=FileDirectory(accounts, secret=settings.secret) if accounts else NoDirectory(),
            clock=lambda: clock[0],
        )
        members = _account_members(guard.policy.identify)
        _only(request, "account", description.account, members)
        exchange = explain(description, guard, clock)
        tree = explain_tree(exchange, guard.policy)
        if format is Format.JSON:
            fields = msgspec.json.decode(line(exchange))
            print_json({**fields, "explanation": tree})
            return
        action = exchange.decision.action
        print_tree(tree, console(), word=action.word, colour=_COLOURS[action])
