"""Body → `PromptShape`: lengths, digests and counts of a prompt, and no text unless asked to."""

from __future__ import annotations

import functools
from typing import Any, Final

import msgspec
import xxhash

from gateway_guard.core.batches import instances, read_batch, requests_in
from gateway_guard.core.conversation import PLAIN, Reader, read_texts, read_tools
from gateway_guard.core.folding import squeeze, undressed, unspaced
from gateway_guard.core.members import (
    MEMBERS,
    MEMBERS_FOLDED,
    MOST_TOKENS,
    Misshapen,
    bound,
    check_merged,
    check_names,
    counts,
    flag,
    logprobs,
)
from gateway_guard.core.negated import wanted
from gateway_guard.core.ordinary import ordinary
from gateway_guard.core.phrases import Phrases
from gateway_guard.core.seeds import Seeds
from gateway_guard.core.shapes import fragments, role_shape
from gateway_guard.core.texts import phrases_in
from gateway_guard.core.wrapped import unwrapped
from gateway_guard.signals.reasoning_elicit import PATTERNS
from gateway_guard.types import PromptShape, RoleShape

#: Tokens a message costs beside its text. Source: OpenAI's published counting recipe (3 or 4).
_PER_MESSAGE: Final = 4
#: Tokens assumed for one image, sound or file. Not measured; images of 1 megapixel cost 750 to
#: 1,600.
_PER_MEDIUM: Final = 1000
#: Tokens per byte beyond the first of a character: 0.6 a Cyrillic, 0.95 a CJK character. Not
#: measured.
_PER_EXTRA_BYTE: Final = 0.35


@functools.cache
def elicitation() -> Phrases:
    """The phrases of `signals.reasoning_elicit`, by category."""
    return Phrases(
        ((phrase, category) for category, phrases in PATTERNS.items() for phrase in phrases),
        squeeze,
    )


def shape(
    document: dict[str, Any],
    keys: Seeds,
    policy_phrases: Phrases | None = None,
    *,
    digests: bool = True,
    assumed_output_tokens: int = 1024,
    keep: int = 0,
    caps: tuple[str, ...] | None = None,
) -> PromptShape:
    """What the guard keeps of a request body.

    `policy_phrases` are searched in every string of the document; the elicitation categories in the
    system text and the last user text. `input_tokens` is an estimate: a quarter of the characters,
    more for other scripts, `_PER_MESSAGE` a message and `_PER_MEDIUM` an image, sound or file.
    Without `digests` no text is digested or searched for elicitation. `assumed_output_tokens` is
    passed on, for limits. The first `keep` characters of the last user text are kept
    as they are, where it is digested. `caps` as in `members.counts`.

    Raises:
        Misshapen: a member that decides what is read, generated or charged has an unexpected type,
            or differs from one only in case.
    """
    plain = PLAIN.issuperset(document)
    reader = (ordinary(document) if plain else None) or Reader()
    tools, n, batch, with_logprobs, include_usage = 0, 1, 0, False, False
    if plain:
        if not reader.messages:
            read_texts(document, reader)
        cap = document.get("max_tokens")
        if cap is not None and (type(cap) is not int or not 0 < cap < MOST_TOKENS):
            cap = bound(cap, "max_tokens", caps)
        if caps is not None and "max_tokens" not in caps:
            cap = None
    else:
        check_names(document, MEMBERS, MEMBERS_FOLDED)
        check_merged(document)
        completions = read_texts(document, reader)
        tools = read_tools(document, reader)
        cap, n = counts(document, caps)
        if "instances" in document:
            cap, asking = instances(document, cap)
            completions = max(completions, asking)
        n *= completions
        requests = requests_in(document)
        if requests:
            batch = len(requests)
            # Beside a prompt of its own they may be read by nobody.
            own = cap is not None or reader.chars or reader.media
            alone = assumed_output_tokens if cap is None else cap
            cap = read_batch(document, requests, reader, assumed_output_tokens)
            if own or not cap:
                cap += alone
        elif document.get("background") is True or document.get("deferred") is True:
            # Worked on after the answer, which counts nothing: as a batch of one.
            batch = 1
        if not reader.chars and not reader.media:
            reader.unknown(document)
        with_logprobs = logprobs(document)
        options = document.get("stream_options")
        if options is not None:
            if type(options) is not dict:
                raise Misshapen
            include_usage = options.get("include_usage") is True
    stream = document.get("stream", False)

    roles: tuple[RoleShape, ...] = ()
    pieces: tuple[int, ...] = ()
    categories: tuple[str, ...] = ()
    sample: str | None = None
    if digests:
        if reader.system:
            system = reader.system[0] if len(reader.system) == 1 else "\n".join(reader.system)
            if system:
                role, categories = _system(system, keys)
                roles = (role,)
        if reader.user:
            if keep:
                sample = reader.user[:keep]
            bare = undressed(_both_ends(reader.user))
            user, window = role_shape("user", bare, len(reader.user), keys)
            roles = (*roles, user)
            pieces = fragments(window, keys)
            asked = _elicits(bare)
            if reader.before:
                asked = _both(asked, _across(reader.before, reader.user))
            categories = _both(asked, categories)

    # At most 15 members: see `identify`.
    kept = PromptShape(
        messages=reader.messages,
        chars=reader.chars,
        roles=roles,
        shingles=pieces,
        elicitation=categories,
        phrases=phrases_in(document, policy_phrases) if policy_phrases is not None else (),
        input_tokens=int(
            reader.chars / 4
            + reader.extra * _PER_EXTRA_BYTE
            + reader.messages * _PER_MESSAGE
            + reader.media * _PER_MEDIUM
        )
        + 1,
        max_output_tokens=cap,
        assumed_output_tokens=assumed_output_tokens,
        n=n,
        batch=batch,
        logprobs=with_logprobs,
        tools=tools,
        stream=stream if stream is False else flag(stream),
        include_usage=include_usage,
    )
    return kept if sample is None else msgspec.structs.replace(kept, sample=sample)


#: Characters of either end of a text in which elicitation is looked for. The middle of a longer one
#: (15,000 tokens) is not: this is a hint, and the end is where people say what they want.
_END: Final = 32 * 1024
#: Characters of either side of the seam between two turns: as long as the longest phrase.
_SEAM: Final = 64


def _both_ends(text: str) -> str:
    return text if len(text) <= 2 * _END else f"{text[:_END]}\n{text[-_END:]}"


def _elicits(plain: bytes) -> tuple[str, ...]:
    """The elicitation categories in the ends of a text (`undressed`) but where it forbids them, and
    in what is wrapped in it.
    """
    phrases = elicitation()
    found = phrases.find(unspaced(plain))
    if found:
        left = phrases.find(unspaced(wanted(plain)))
        found = tuple([label for label in found if label in left])
    inner = unwrapped(plain)
    return _both(found, phrases.find(squeeze(inner))) if inner else found


def _across(before: str, text: str) -> tuple[str, ...]:
    """Those across the seam from the turn of the user `before` to a text."""
    phrases = elicitation()
    before = before[-_SEAM:]
    across = phrases.find(squeeze(before + text[:_SEAM]))
    if not across:
        return ()
    # What that turn said by itself is past.
    said = phrases.find(squeeze(before))
    return tuple([label for label in across if label not in said])


def _both(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({*one, *other})) if other else one


#: Keyed digest of a system text → what is kept of it. Thousands of requests share a system prompt,
#: and agents' prompts are long; the text itself is not kept.
_systems: dict[bytes, tuple[RoleShape, tuple[str, ...]]] = {}
_MOST_SYSTEMS: Final = 4096


def _system(text: str, keys: Seeds) -> tuple[RoleShape, tuple[str, ...]]:
    """The shape of a system text and the elicitation categories in it."""
    digest = xxhash.xxh3_128_digest(text.encode("utf-8", "replace"), keys.head)
    known = _systems.get(digest)
    if known is None:
        plain = undressed(_both_ends(text))
        shape_of, _ = role_shape("system", plain, len(text), keys)
        known = shape_of, _elicits(plain)
        if len(_systems) >= _MOST_SYSTEMS:
            _systems.clear()
        _systems[digest] = known
    return known
