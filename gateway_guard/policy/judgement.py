"""`rules:` → `core.rules.Rule`s, and what can be known of them before any request arrives."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from yaml.nodes import Node, SequenceNode

from gateway_guard.core.policy import OnError
from gateway_guard.core.rules import Rule
from gateway_guard.policy.acting import acting
from gateway_guard.policy.conditions import compile_when
from gateway_guard.policy.contradictions import check_contradictions
from gateway_guard.policy.schema import KEYS
from gateway_guard.policy.scope import Scope
from gateway_guard.policy.shapes import Bands, Named, Patterns, Shape, Values
from gateway_guard.policy.values import Section, kebab, kind_of
from gateway_guard.types import UNKNOWN, Action, Inspection, Restrictions

_STATUS: Final = {
    Action.CHALLENGE: (401, 402, 403),
    Action.THROTTLE: (429, 503),
    Action.DENY: (400, 401, 402, 403, 404, 410, 451, 503),
}
#: Each rule costs about 0.14 µs a request when it does not match (measured), and its comparison
#: with every earlier one about 3 µs at load.
MAX_RULES: Final = 500
#: What reports and tests call it where no rule has matched.
DEFAULT: Final = "default"
_UNREAD: Final = frozenset(i.value for i in Inspection if i.unknown)
#: Facts that corroborate a suspicion: something known, not suspected.
FACTS: Final = frozenset(
    {
        "country",
        "account_country",
        "network",
        "asn",
        "client_ip",
        "account",
        "organisation",
        "account_tag",
        "account_age",
        "tier",
        "verified",
        "programme",
        "campaign",
        "indicator",
    }
)


@dataclass(slots=True)
class Read:
    """A rule, what it accepts, and where its name stands. `rule` is None when it is faulty."""

    rule: Rule | None
    action: Action | None
    name: str
    node: Node
    shapes: dict[str, Shape]
    complete: bool
    enforced: bool

    @property
    def refuses(self) -> bool:
        """Whether it refuses in earnest: a rehearsal does not."""
        return self.rule is not None and self.rule.action.refuses and not self.rule.shadow


def compile_rules(scope: Scope, node: Node) -> list[Read]:
    """Every rule, in file order."""
    if not isinstance(node, SequenceNode):
        scope.found.at(
            "GG204",
            node,
            f"rules are a list, not {kind_of(node)}",
            hint="rules: [{ name: embargo, when: { country: KP }, then: deny }]",
        )
        return []
    rules: list[Read] = []
    names: dict[str, int] = {}
    if len(node.value) > MAX_RULES:
        scope.found.at("GG112", node.value[MAX_RULES], f"more than {MAX_RULES} rules")
    for item in node.value[:MAX_RULES]:
        before = scope.found.errors
        section = Section(scope.found, item, "rule")
        if not section.fields:
            continue
        read = _rule(scope, section, before)
        if read.name == DEFAULT:
            scope.found.at(
                "GG216",
                read.node,
                f"a rule is named '{DEFAULT}', as what decides where no rule matches",
                hint="choose another name, e.g. everybody-else",
            )
        if read.name in names:
            scope.found.at(
                "GG216",
                read.node,
                f"two rules are named '{read.name}'",
                hint=f"the other stands in line {names[read.name]}",
            )
        elif read.name:
            names[read.name] = read.node.start_mark.line + 1
        rules.append(read)
    return rules


def _rule(scope: Scope, section: Section, before: int) -> Read:
    found = scope.found
    node = section.get("name") or section.node
    name = kebab(found, node, "rule") if "name" in section else None
    word = section.read("then")
    action = Action.from_word(word) if word else None
    why = section.read("why")
    when = section.section("when")
    conditions, shapes = compile_when(scope, when) if when is not None else ((), {})
    check_contradictions(scope, when, shapes)
    shadow, rollout = acting(section, "rule")
    status, tarpit = section.read("status"), section.read("tarpit")
    url, retry_after = section.read("url"), section.read("retry_after")
    restrictions = _restrictions(section)
    if action is not None:
        _fits(section, action, status)
    method = shapes.get("method")
    if action is Action.RESTRICT and isinstance(method, Values) and method.words == {"WEBSOCKET"}:
        found.at(
            "GG307",
            section.fields["then"][1],
            "a WebSocket cannot be restricted: it would be forwarded as it is",
            hint="then: deny, or bound them with a limit",
        )
    if url is not None:
        check_url(section, "url", url)
    complete = found.errors == before
    enforced = not shadow and rollout >= 1.0
    rule = None
    if complete and action is not None and name:
        rule = Rule(
            name=name,
            conditions=conditions,
            action=action,
            why=why or "",
            where=f"{found.name}:{node.start_mark.line + 1}",
            status=status,
            restrictions=restrictions if action is Action.RESTRICT else None,
            shadow=shadow,
            rollout=rollout,
            tarpit=tarpit or 0.0,
            challenge_url=url,
            retry_after=retry_after,
        )
    return Read(rule, action, name or "", node, shapes, complete, enforced)


def _restrictions(section: Section) -> Restrictions | None:
    taken = section.section("with")
    if taken is None:
        return None
    cap, n, logprobs = taken.read("max_output_tokens"), taken.read("n"), taken.read("logprobs")
    if logprobs:
        section.found.at(
            "GG307",
            taken.place("logprobs"),
            "`logprobs: true` takes nothing away",
            hint="write false, or leave it out",
        )
    chat_cap = taken.read("chat_cap")
    if chat_cap is not None and "max_output_tokens" not in taken:
        section.found.at(
            "GG304",
            taken.place("chat_cap"),
            "`chat_cap` says where the cap on output stands, and there is none",
            hint="with: { max_output_tokens: 512, chat_cap: max_completion_tokens }",
        )
    return Restrictions(
        max_output_tokens=cap, n=n, logprobs=False if logprobs is False else None,
        chat_cap=chat_cap,
    )  # fmt: skip


def _fits(section: Section, action: Action, status: int | None) -> None:
    """Keys that mean something for another action only."""
    found = section.found
    wanted = {
        "with": action is Action.RESTRICT,
        "url": action is Action.CHALLENGE,
        "retry_after": action is Action.THROTTLE,
        "status": action.refuses,
        "tarpit": action.refuses,
    }
    for key, fits in wanted.items():
        if key in section and not fits:
            found.at(
                "GG304",
                section.place(key),
                f"'{key}' does not fit `then: {action.word}`",
                hint=KEYS["rule"][key].doc,
            )
    allowed = _STATUS.get(action, ())
    if status is not None and allowed and status not in allowed:
        found.at(
            "GG306",
            section.fields["status"][1],
            f"status {status} does not fit {action.word}",
            hint=f"one of: {', '.join(map(str, allowed))}{_otherwise(status)}",
        )
    if action is Action.RESTRICT:
        place = section.get("with")
        empty = place is None or not place.value
        if empty:
            found.at(
                "GG305",
                section.fields["then"][1],
                "restrict what?",
                hint="with: { max_output_tokens: 512, logprobs: false, n: 1 }",
            )


def _otherwise(status: int) -> str:
    """Which action answers with a status, where one does."""
    fitting = next((other for other, allowed in _STATUS.items() if status in allowed), None)
    return f"; {status} is what `then: {fitting.word}` answers" if fitting is not None else ""


def check_url(section: Section, key: str, url: str, *, plain_http: bool = False) -> None:
    """An absolute https URL without credentials in it."""
    try:
        parts = urlsplit(url)
        good = bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if good and parts.scheme == "http" and plain_http:
        host = parts.hostname or ""
        good = (
            host == "localhost"
            or re.fullmatch(
                r"127(\.\d+){3}|\[?::1\]?|10(\.\d+){3}|192\.168(\.\d+){2}|172\.(1[6-9]|2\d|3[01])(\.\d+){2}"
                r"|[a-z0-9-]+(\.[a-z0-9-]+)*\.(internal|local|svc)|[a-z0-9-]+",
                host,
                re.ASCII,
            )
            is not None
        )
    elif good:
        good = parts.scheme == "https"
    if not good or "@" in parts.netloc or re.search(r"[\s\x00-\x1f\x7f]", url):
        shown = re.sub(r"//[^/@]*@", "//…@", url)[:80]
        section.found.at(
            "GG221",
            section.fields[key][1],
            f"'{shown}' cannot be used here",
            hint="an absolute https:// URL without user and password",
        )


def check_preempted(scope: Scope, rules: list[Read], on_error: OnError) -> None:
    """Rules about what cannot be read, which `on_error` refuses whatever they say."""
    for read in rules:
        path, body = read.shapes.get("path"), read.shapes.get("body")
        forwards = read.rule is not None and not read.rule.action.refuses
        if (
            on_error.path == "deny"
            and isinstance(path, Patterns)
            and path.texts == frozenset((UNKNOWN,))
        ):
            _preempted(scope, read, "path", "an ambiguous path is refused before any rule is asked")
        elif (
            on_error.body == "deny"
            and forwards
            and isinstance(body, Values)
            and body.words <= _UNREAD
        ):
            _preempted(scope, read, "body", "a body nobody can read is refused whatever it says")


def _preempted(scope: Scope, read: Read, key: str, why: str) -> None:
    scope.found.at(
        "GG309",
        read.node,
        f"rule '{read.name}' never acts: {why}",
        hint=f"on_error: {{ {key}: allow }} leaves it to the rules",
    )


def check_thresholds(scope: Scope) -> None:
    """Thresholds that all weights together cannot reach, each signal at its highest score."""
    reach = 1.0 - math.prod(1.0 - scope.most(name) for name in scope.weights)
    for node, risk, what in scope.thresholds:
        if risk > reach + 1e-9:
            hint = (
                f"raise a weight, or write at most {math.floor(reach * 1000) / 1000:g}"
                if scope.weights
                else "`signals:` is empty, so the risk is always 0; switch signals on"
            )
            scope.found.at(
                "GG502",
                node,
                f"{what} needs a risk of {risk:g}, and the weights reach {reach:.3g} at most",
                hint=hint,
            )


def check_corroboration(scope: Scope, rules: list[Read]) -> None:
    """Refusals that one signal can cause alone."""
    weighted = [name for name in scope.weights if name not in scope.faulty]
    if not weighted:
        return
    strongest = max(weighted, key=scope.most)
    for read in rules:
        rule, risk = read.rule, read.shapes.get("risk")
        if rule is None or not read.refuses or FACTS & read.shapes.keys():
            continue
        if isinstance(risk, Bands) and 0.0 < risk.spans[0][0] <= scope.most(strongest):
            scope.found.at(
                "GG504",
                read.node,
                f"'{strongest}' (weight {scope.weights[strongest]:g}) can make '{read.name}' "
                f"{rule.action.word} alone",
                hint="raise the threshold above every weight, or add a fact of network or account",
            )
        elif isinstance(read.shapes.get("signal"), Named) and not isinstance(risk, Bands):
            named = read.shapes["signal"]
            if isinstance(named, Named) and len(named.bands) == 1 and not named.everything:
                scope.found.at(
                    "GG504",
                    read.node,
                    f"'{read.name}' refuses for a single signal",
                    hint="let a refusal need two signals, or a fact of network or account",
                )


def check_clouds(scope: Scope, rules: list[Read]) -> None:
    """Refusals of whoever calls from a cloud, where clients of an API are at home."""
    narrower = FACTS - {"network"} | {"risk", "signal", "prompt", "path", "model_route"}
    for read in rules:
        network = read.shapes.get("network")
        if (
            read.refuses
            and isinstance(network, Values)
            and "hosting" in network.words
            and not narrower & read.shapes.keys()
        ):
            scope.found.at(
                "GG312",
                read.node,
                f"'{read.name}' refuses whoever calls from a cloud (`hosting`)",
                hint="leave `hosting` out (vpn, proxy and tor are flags of their own), or ask for "
                "a risk or a fact of the account besides",
            )


def check_forwards(scope: Scope, rules: list[Read], default: Action, place: Node | None) -> None:
    """A default or a rule that refuses whatever comes, with no rule ahead of it that forwards."""
    for read in rules:
        if not read.enforced:
            continue
        if read.rule is None or not read.rule.action.refuses:
            break
        # Accounts that have met a challenge pass it.
        if read.action is not Action.CHALLENGE and all(s.everything for s in read.shapes.values()):
            scope.found.at(
                "GG308",
                read.node,
                f"every request is refused: '{read.name}' matches everything, and no enforced rule "
                "above it forwards any",
                hint="give it a `when`, or a rule with `then: allow` above it",
            )
            return
    if (
        default.refuses
        and place is not None
        and not any(
            read.enforced and (read.rule is None or not read.rule.action.refuses) for read in rules
        )
    ):
        scope.found.at(
            "GG308",
            place,
            "every request is refused: no enforced rule forwards any",
            hint="add a rule with `then: allow`",
        )
