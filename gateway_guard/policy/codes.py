"""Every way a policy can be wrong, as a table: `gateway-guard rule list`."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final


class Severity(enum.StrEnum):
    """`ERROR`: the policy does not load. `WARNING`: it loads, and probably surprises."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Code:
    """One class of mistake.

    Attributes:
        title: what is wrong, in a few words.
        text: why that is a mistake and what to do, in one paragraph (`gateway-guard rule GGnnn`).
        severity: whether the policy still loads.
    """

    title: str
    text: str
    severity: Severity = Severity.ERROR


_WARNING: Final = Severity.WARNING

#: Every code, in order. 1xx the file, 2xx keys and values, 3xx rules, 4xx limits, 5xx signals and
#: risk, 6xx identity, 7xx policy tests. Codes are never reused.
CODES: Final[dict[str, Code]] = {
    "GG101": Code(
        "the file cannot be read",
        "The file does not exist, is a directory, or this process may not read it.",
    ),
    "GG102": Code(
        "the file is too large",
        "A policy is at most 1 MB (1,048,576 bytes). Larger files are refused before they are "
        "read, so that a wrong path, e.g. to a log, costs nothing. Long lists of addresses "
        "belong into network data, not into a policy.",
    ),
    "GG103": Code(
        "the file is not UTF-8",
        "Policies are UTF-8 text without control characters. Save the file as UTF-8; in "
        "UTF-16 or Latin-1 a name could look right and mean something else.",
    ),
    "GG104": Code(
        "the file is empty",
        "There is no policy in it: nothing, or nothing but comments. An empty policy would "
        "allow everything, so it is refused instead.",
    ),
    "GG105": Code(
        "YAML syntax",
        "The text is not well-formed YAML at this place. Often the true cause is the line "
        "above: a missing bracket, quote or colon, or indentation that does not line up.",
    ),
    "GG106": Code(
        "anchor, alias or merge key",
        "Anchors (&name), aliases (*name) and merge keys (<<) are refused: what a rule says "
        "must stand where it is read, and a few aliases of aliases expand to gigabytes. Write "
        "it out, or name a list of countries in `regions:`.",
    ),
    "GG107": Code(
        "tag",
        "Explicit YAML tags (!name, !!str) are refused. Types follow from the key; quote a "
        "value to make it text.",
    ),
    "GG108": Code(
        "several documents",
        "One file holds one policy. A `---` in the middle starts a second document, which "
        "other tools would silently ignore.",
    ),
    "GG109": Code(
        "too deep or too many values",
        "A policy nests at most 16 levels and holds at most 50,000 keys and values. No real "
        "policy comes near; not measured.",
    ),
    "GG110": Code(
        "indentation without spaces",
        "YAML does not allow tabs for indentation, because how wide they are depends on the "
        "editor; and no-break and other typographic spaces are text to it, so that a key would "
        "have another name than it seems. Use spaces.",
    ),
    "GG111": Code(
        "too many mistakes",
        "Reading stopped after 200 mistakes; there may be more. Is this a policy at all?",
    ),
    "GG112": Code(
        "too many rules or limits",
        "A policy holds at most 500 rules and 500 limits. Each is asked on every request; lists "
        "of accounts belong into the account directory as tags, lists of addresses into one "
        "`client_ip`.",
    ),
    "GG201": Code(
        "unknown key",
        "No such key exists here. It is refused rather than ignored, because a misspelt "
        "condition that is ignored makes its rule match everything.",
    ),
    "GG202": Code(
        "duplicate key",
        "The same key stands twice in one mapping. Most YAML readers keep the last one "
        "without a word; a policy must say each thing once.",
    ),
    "GG203": Code(
        "unknown name",
        "The value must be one of a fixed set of names, or one defined elsewhere in the "
        "policy, and this is none of them.",
    ),
    "GG204": Code(
        "wrong type",
        "The value has the wrong shape: a mapping, a list, a number or text was expected.",
    ),
    "GG205": Code(
        "missing key",
        "A key that must be there is not; there is no default that would be safe to assume.",
    ),
    "GG206": Code(
        "no value",
        "A key stands without a value, or a list or mapping that must name something is "
        "empty. An empty condition would match nothing, or everything, depending on who reads "
        "it.",
    ),
    "GG207": Code(
        "bad number",
        "The number is outside its range, not finite, or not written as a plain decimal number.",
    ),
    "GG208": Code(
        "bad duration",
        "Durations are a number and a unit: `500 ms`, `30s`, `15 minutes`, `1 hour`, `7 "
        "days`, `2 weeks`. A bare number is refused because its unit would be a guess.",
    ),
    "GG209": Code(
        "bad percentage",
        "Shares are written with a percent sign, e.g. `25%`. A bare 0.25 or 25 is refused "
        "because it could mean either.",
    ),
    "GG210": Code(
        "bad size",
        "Sizes are a number and a unit: `512 KB`, `8 MB` (1 KB is 1024 bytes), and for text "
        "`200 characters`.",
    ),
    "GG211": Code(
        "bad rate",
        "Rates are written `120/minute`, `5 per 10 seconds`, `1000000/day`: a whole amount of "
        "at least 1, and a unit of second, minute, hour, day, month (30 days) or year (360 "
        "days).",
    ),
    "GG212": Code(
        "bad country code",
        "Countries are ISO 3166-1 alpha-2 codes in upper case, e.g. `NO` for Norway; also "
        "`XK` for Kosovo, which network databases emit, and `unknown`. Lists of countries can "
        "be named in `regions:` and used by that name.",
    ),
    "GG213": Code(
        "bad address or network",
        "An address or network in CIDR form was expected, e.g. `192.0.2.7`, `10.0.0.0/8` or "
        "`2001:db8::/32`, with no bit set behind the prefix length.",
    ),
    "GG214": Code(
        "bad version",
        "The first key of a policy is `version: 1`: the version of the policy language.",
    ),
    "GG215": Code(
        "bad name",
        "Names of rules, limits and regions are kebab-case: lower-case letters, digits and "
        "single hyphens, starting with a letter, at most 64 characters, e.g. "
        "`hidden-newcomers`.",
    ),
    "GG216": Code(
        "duplicate name",
        "Two rules, limits or regions have the same name, or a rule that of the policy's "
        "`default`. Logs, reports and metrics could not tell them apart.",
    ),
    "GG217": Code(
        "repeated value",
        "The same value stands twice in one list, or is covered by another value of it. "
        "Harmless, but often a slip of the pen for another value.",
        _WARNING,
    ),
    "GG218": Code(
        "empty band",
        "`min` includes and `max` excludes, so a band with `min` not below `max` holds nothing.",
    ),
    "GG219": Code(
        "bad pattern",
        "Path patterns start with `/`; `*` stands for anything within one segment, `**` as a "
        "whole segment for any number of segments; case does not matter. A pattern that no "
        "canonical path can match is an error. Model patterns may contain `*`. Phrases are at "
        "least 3 characters that can be seen.",
    ),
    "GG220": Code(
        "bad header name",
        "HTTP header names are letters, digits and !#$%&'*+-.^_`|~ (RFC 9110, section 5.1).",
    ),
    "GG221": Code(
        "bad URL",
        "An absolute `https://` URL was expected (`http://` only for loopback and private "
        "names in `jwks`), without credentials in it.",
    ),
    "GG222": Code(
        "bounds the wrong way round",
        "A least and a most number are given, and the least is the greater. Both are included, so "
        "they may be equal.",
    ),
    "GG301": Code(
        "rule after a catch-all",
        "An earlier rule has no conditions, is enforced, and therefore always wins; this rule "
        "can never act. Move the catch-all last, or give it a `when`.",
    ),
    "GG302": Code(
        "rule in the shade of an earlier one",
        "Rules are read in file order and the first match wins. Everything this rule matches, "
        "an earlier enforced rule matches too, so it can never act. Move it up, or narrow the "
        "other.",
    ),
    "GG303": Code(
        "rule that never matches",
        "The conditions contradict each other: no request can satisfy all of them. Without an "
        "account nothing is known of one, where no model is reached no model is named, and only of "
        "a body that was read it is known what is in it.",
    ),
    "GG304": Code(
        "key does not fit the action",
        "The key means something only for another action, e.g. `with` for `restrict`, `url` "
        "for `challenge`, `status` and `tarpit` for refusals.",
    ),
    "GG305": Code(
        "restrict without restrictions",
        "`then: restrict` forwards with less; `with:` must say what is taken away: "
        "`max_output_tokens`, `logprobs: false` or `n`.",
    ),
    "GG306": Code(
        "wrong status",
        "Refusals answer with a 4xx or 5xx status that fits the action: deny 400, 401, 402, "
        "403, 404, 410, 451 or 503; throttle 429 or 503; challenge 401, 402 or 403.",
    ),
    "GG307": Code(
        "no effect",
        "The setting changes nothing where it stands, e.g. `rollout` on a rule that is in "
        "shadow anyway.",
        _WARNING,
    ),
    "GG308": Code(
        "denies everything",
        "The default refuses, or a rule that matches whatever comes, and no enforced rule ahead "
        "of it forwards anything, so every request is refused.",
        _WARNING,
    ),
    "GG309": Code(
        "rule in the shade of `on_error`",
        "Ambiguous paths are refused before any rule is asked, and unreadable bodies on model "
        "routes are refused unless a rule refuses them in its own way. With `on_error: { path: "
        "deny, body: deny }` (the default) a rule that wants to do otherwise never acts.",
    ),
    "GG310": Code(
        "challenge that leads nowhere",
        "A rule challenges, and nobody says where an account could verify itself: there is neither "
        "a `verification:` section, whose links the guard hands out, nor a `url:` on the rule. The "
        "refusal is then one that honest accounts cannot meet, unless a person vouches for them.",
        _WARNING,
    ),
    "GG311": Code(
        "rule for those who met a challenge",
        "A rule above challenges everything that this one matches. Challenges are passed over for "
        "accounts that have met one, or that a person vouched for, so this rule judges them and "
        "nobody else. Where that is meant, `verified: true` says so.",
        _WARNING,
    ),
    "GG312": Code(
        "refusal of all clouds",
        "The rule refuses whoever calls from a hosting provider, and asks for nothing besides. "
        "Servers live in clouds, so that is where most honest clients of an API call from; VPNs, "
        "proxies and Tor exits have flags of their own.",
        _WARNING,
    ),
    "GG401": Code(
        "what does the limit count?",
        "Each limit has exactly one of `requests`, `tokens`, `input_tokens`, `output_tokens` "
        "(a rate) or `concurrent` (a whole number).",
    ),
    "GG402": Code(
        "bad burst",
        "`burst` is the most units that may be outstanding at once: at least 1 and at most "
        "1,000 times the rate's amount. It has no meaning for `concurrent`, whose number is "
        "the bound.",
    ),
    "GG403": Code(
        "contradictory adaptation",
        "Two steps of an `adapt` table stand for the same value, or `recover` stands without "
        "the `risk` table it would slow down.",
    ),
    "GG404": Code(
        "adaptation that loosens",
        "A quota grows with more risk, or grows for younger accounts. That is allowed only in "
        "`tier`, where it is meant; elsewhere it is usually a table in the wrong order.",
        _WARNING,
    ),
    "GG405": Code(
        "overlapping limits",
        "Two limits count the same thing for the same key and scope, and one has neither the "
        "higher rate nor the larger burst, whatever their windows: that one refuses first, and the "
        "other has next to no effect.",
        _WARNING,
    ),
    "GG501": Code(
        "bad detector parameter",
        "The detector refuses this value; `gateway-guard signal NAME` explains its parameters.",
    ),
    "GG502": Code(
        "unreachable risk",
        "Risk is 1 - product of (1 - weight x score) and cannot exceed what all weights "
        "together reach with every signal at its highest score (its `ceiling`). A threshold "
        "above that never applies: the rule looks like protection and is none.",
    ),
    "GG503": Code(
        "signal not switched on",
        "The condition asks for a signal that `signals:` does not list, so it would never be "
        "measured.",
    ),
    "GG504": Code(
        "one signal may refuse alone",
        "A single signal's weight reaches the risk at which this rule refuses, and the rule "
        "asks for no fact besides. Detectors err; let a refusal need two signals, or a fact "
        "about the network or the account.",
        _WARNING,
    ),
    "GG505": Code(
        "refusal on hearsay",
        "The rule refuses for no more than that a shared indicator matches, whoever said so and "
        "however unsure they are. Others err, and what they name may have changed hands; let a "
        "refusal name the sources it believes or a least confidence, or ask for something seen "
        "here besides.",
        _WARNING,
    ),
    "GG601": Code(
        "bad token verification",
        "A JWT is verified by exactly one of `jwks`, `key` or `key_file`, with algorithms "
        "that fit the key, never `none`; or is explicitly trusted with `verify: false` behind "
        "a proxy that has verified it. Private keys do not belong into a policy.",
    ),
    "GG602": Code(
        "forwarding header nobody may set",
        "`client_ip` or `attributes` name headers, but `trusted_proxies` is empty, so nobody is "
        "believed: every client has the address of its connection, and no account attributes.",
    ),
    "GG603": Code(
        "everybody is trusted",
        "Trusting 0.0.0.0/0, ::/0 or half of either lets every client choose its own address with "
        "one header. Name the networks of your proxies.",
    ),
    "GG604": Code(
        "verification that cannot work",
        "Links need a public https URL with a path of their own, and either a form that asks for "
        "something or a provider whose callbacks are signed. Codes must be too long to guess, and "
        "files must be there.",
    ),
    "GG605": Code(
        "unverified tokens of everybody",
        "With `verify: false` whoever reaches the guard may write any account into a token, unless "
        "`trusted_proxies` names who verifies them: then a token that came past these counts for "
        "nothing.",
        _WARNING,
    ),
    "GG606": Code(
        "two issuers, one name",
        "An account is what a token names. Tokens of two issuers that give the same name are one "
        "account, with one quota, the same attributes and the same ban, whoever they belong to. "
        "`prefix` tells them apart; the accounts file then has the names with it.",
        _WARNING,
    ),
    "GG701": Code(
        "policy test without effect",
        "A case expects nothing, or states what no request is like: a risk the policy's signals "
        "cannot reach, or something of an account, a model or a body where there is none.",
    ),
}
