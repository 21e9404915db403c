"""Body → body with less: caps put on, probabilities dropped, usage asked for; the rest byte for
byte."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from gateway_guard.core.batches import CONFIGS
from gateway_guard.core.body import decoded
from gateway_guard.core.caps import CHAT, ENDLESS, LENGTH, caps_of, caps_told
from gateway_guard.core.members import PROBABILITIES
from gateway_guard.types import Dialect, Inspection, Restrictions

_Members = dict[str, msgspec.Raw]
_decode: Final = msgspec.json.Decoder(_Members).decode
_encode: Final = msgspec.json.Encoder().encode

#: Decompressed bytes accepted here: the body has been read once within the policy's own bound.
_LIMIT: Final = 1 << 30

_CAPS: Final = (
    "max_tokens", "max_completion_tokens", "max_output_tokens", "max_tokens_to_sample", "n_predict",
    "max_gen_len",
)  # fmt: skip
#: Objects in which other dialects keep cap, completions and probabilities.
_NESTED: Final = (
    ("generationConfig", "maxOutputTokens", "candidateCount", ("responseLogprobs", "logprobs")),
    (
        "generation_config", "max_output_tokens", "candidate_count",
        ("response_logprobs", "logprobs"),
    ),
    # Protocol buffers are read in either spelling, at every level.
    ("generationConfig", "max_output_tokens", "candidate_count", ("response_logprobs",)),
    ("generation_config", "maxOutputTokens", "candidateCount", ("responseLogprobs",)),
    ("sampling_params", "max_new_tokens", "n", ()),
    ("sampling_params", "max_tokens", "", ("logprobs", "prompt_logprobs")),
    ("options", "num_predict", "", ()),
    ("inferenceConfig", "maxTokens", "", ()),
    ("inferenceConfig", "max_new_tokens", "", ()),
    ("textGenerationConfig", "maxTokenCount", "", ()),
    ("parameters", "max_tokens", "n", ("logprobs", "prompt_logprobs")),
    ("parameters", "max_new_tokens", "best_of", ("top_n_tokens", "decoder_input_details")),
    ("parameters", "maxOutputTokens", "candidateCount", ()),
)  # fmt: skip
_INCLUDED_PROBABILITIES: Final = "message.output_text.logprobs"


def rewrite(
    body: bytes,
    headers: Sequence[tuple[bytes, bytes]],
    dialect: Dialect,
    *,
    restrictions: Restrictions | None,
    force_usage: bool,
    path: str | None = None,
) -> bytes:
    """The body to forward, without content coding: the caller drops Content-Encoding.

    Only call it for a body that was inspected (`Inspection.FULL`). Every member that is not changed
    keeps its bytes and its place; white space between top-level members is not kept. An unchanged
    body without coding is returned as it is; a form is never changed.

    Args:
        body: as received.
        headers: of the request; only Content-Encoding is read.
        dialect: whose API this is.
        restrictions: what to take away; None for nothing.
        force_usage: add `stream_options.include_usage` to a streamed OpenAI chat or completion.
        path: canonical path, which tells embeddings (never capped) from responses; None if unknown.

    Raises:
        ValueError: the body cannot be decoded; it was not inspected, then.
    """
    encodings = [value for name, value in headers if name == b"content-encoding"]
    plain = decoded(body, encodings, _LIMIT)
    if isinstance(plain, Inspection):
        raise ValueError(f"the body cannot be decoded: {plain.value}")
    if plain[:2] == b"--":
        # A form: it is read, and never changed.
        return plain
    members = _decode(plain)
    changed = force_usage and dialect is Dialect.OPENAI and _ask_for_usage(members)
    if restrictions is not None:
        changed = _restrict(members, restrictions, dialect, path or "") or changed
        changed = _restrict_batch(members, restrictions, dialect) or changed
        changed = _restrict_instances(members, restrictions, dialect, path) or changed
    return _encode(members) if changed else plain


def _value(members: Mapping[str, msgspec.Raw], name: str) -> Any:
    raw = members.get(name)
    return None if raw is None else msgspec.json.decode(raw)


def _ask_for_usage(members: _Members) -> bool:
    if _value(members, "stream") is not True or not ("messages" in members or "prompt" in members):
        return False
    raw = members.get("stream_options")
    options = msgspec.json.decode(raw, type=_Members | None) if raw is not None else None
    options = options or {}
    if _value(options, "include_usage") is True:
        return False
    options["include_usage"] = msgspec.Raw(b"true")
    members["stream_options"] = msgspec.Raw(_encode(options))
    return True


def _restrict(
    members: _Members, restrictions: Restrictions, dialect: Dialect, path: str | None
) -> bool:
    before = dict(members)
    if restrictions.max_output_tokens is not None:
        _cap(members, restrictions.max_output_tokens, restrictions.chat_cap, dialect, path)
    if restrictions.logprobs is False:
        _drop_probabilities(members)
    if restrictions.n is not None:
        for name in ("n", "best_of"):
            _lower(members, name, restrictions.n)
    for name, cap, completions, probabilities in _NESTED:
        raw = members.get(name)
        if raw is None:
            continue
        inner = msgspec.json.decode(raw, type=_Members | None)
        if not inner:
            continue
        old = dict(inner)
        if restrictions.max_output_tokens is not None:
            _lower(inner, cap, restrictions.max_output_tokens, _least(cap, dialect))
        if restrictions.n is not None and completions:
            _lower(inner, completions, restrictions.n)
        if restrictions.logprobs is False:
            for probability in probabilities:
                inner.pop(probability, None)
        if inner != old:
            members[name] = msgspec.Raw(_encode(inner))
    return members != before


def _restrict_batch(members: _Members, restrictions: Restrictions, dialect: Dialect) -> bool:
    """The same in every request of a batch; whether there was anything to do.

    One level: `requests` within a request are nobody's batch and were not read.
    """
    changed = _restrict_requests(members, restrictions, dialect)
    for config in CONFIGS:
        levels = [members]
        for name in ("batch", config, "requests"):
            raw = levels[-1].get(name)
            if raw is None or not bytes(raw).startswith(b"{"):
                break
            levels.append(_decode(raw))
        else:
            if _restrict_requests(levels[-1], restrictions, dialect):
                for name in ("requests", config, "batch"):
                    inner = levels.pop()
                    levels[-1][name] = msgspec.Raw(_encode(inner))
                changed = True
    return changed


def _restrict_requests(members: _Members, restrictions: Restrictions, dialect: Dialect) -> bool:
    raw = members.get("requests")
    # What is no list was not read as a batch either.
    if raw is None or not bytes(raw).startswith(b"["):
        return False
    changed = False
    batch = msgspec.json.decode(raw, type=list[_Members])
    for request in batch:
        for name, path in _ENVELOPES.items():
            inner = request.get(name)
            if inner is not None:
                params = _decode(inner)
                if _restrict(params, restrictions, dialect, path):
                    request[name] = msgspec.Raw(_encode(params))
                    changed = True
    if changed:
        members["requests"] = msgspec.Raw(_encode(batch))
    return changed


def _restrict_instances(
    members: _Members, restrictions: Restrictions, dialect: Dialect, path: str | None
) -> bool:
    """Lower what Vertex's instances ask for; nothing is put into one, whatever model it is for,
    unless it is TGI that reads them.
    """
    own = "/generate" if path is not None and path.lower().rstrip("/") == "/vertex" else None
    raw = members.get("instances")
    if raw is None or not bytes(raw).startswith(b"["):
        return False
    changed = False
    found = msgspec.json.decode(raw, type=list[msgspec.Raw])
    for number, one in enumerate(found):
        if bytes(one).startswith(b"{"):
            instance = _decode(one)
            if _restrict(instance, restrictions, dialect, own):
                found[number] = msgspec.Raw(_encode(instance))
                changed = True
    if changed:
        members["instances"] = msgspec.Raw(_encode(found))
    return changed


def _lower(members: _Members, name: str, most: int, least: int = 0) -> bool:
    """Lower a count to `most`; whether the member is there at all. Below `least` it is no bound."""
    value = _value(members, name)
    if value is None:
        return False
    if not least <= value <= most:
        members[name] = msgspec.Raw(b"%d" % most)
    return True


def _least(cap: str, dialect: Dialect) -> int:
    """The least value of a cap that bounds anything."""
    return 1 if cap in ENDLESS and dialect is not Dialect.ANTHROPIC else 0


def _cap(
    members: _Members, most: int, chat: str | None, dialect: Dialect, path: str | None
) -> None:  # fmt: skip
    # By what the path says before what headers and body say: clients choose those.
    own = caps_of(path) if path is not None else None
    names = (*_CAPS, LENGTH) if own is not None and LENGTH in own else _CAPS
    named = {name for name in names if _lower(members, name, most, _least(name, dialect))}
    thinking = members.get("thinking")
    if thinking is not None:
        _cap_thinking(members, thinking, most)
    if path is None or path.lower().rstrip("/").endswith(_UNCAPPED):
        return
    told = caps_told(path, members) if own is None else None
    if told is not None:
        # Each server that may stand here reads one of them, and passes over the others.
        for member in told:
            if member not in CHAT or member == CHAT[0]:
                _put(members, member, most, named, None, alike={})
        return
    named_one = own[0] if own is not None else _cap_name(members, dialect)
    if named_one is not None:
        if "messages" in members and (own == CHAT or (own is None and dialect is Dialect.OPENAI)):
            # Other interfaces, and completions of one prompt, have the one name only.
            named_one = chat or named_one
        _put(members, named_one, most, named, own, alike=_SAME_CAP)


def _put(
    members: _Members, member: str, most: int, named: set[str], own: Sequence[str] | None,
    *, alike: Mapping[str, str],
) -> None:  # fmt: skip
    """Put the cap `member` there, unless one of `named`, which are there, is the same; `alike` are
    names within objects that one and the same reader takes for each other.
    """
    outer, _, inner = member.partition(".")
    if not inner:
        # What its upstream passes over is no cap.
        if named.isdisjoint(own or (CHAT if member in CHAT else (member,))):
            members[member] = msgspec.Raw(b"%d" % most)
        return
    # Whatever stands at the top, these APIs read the cap elsewhere.
    other = _OTHER_SPELLING.get(outer)
    if other is not None and outer not in members and other in members:
        outer, inner = other, "max_output_tokens"
    raw = members.get(outer)
    nested = (msgspec.json.decode(raw, type=_Members | None) if raw is not None else None) or {}
    if inner not in nested and alike.get(inner) not in nested:
        nested[inner] = msgspec.Raw(b"%d" % most)
        members[outer] = msgspec.Raw(_encode(nested))


_OTHER_SPELLING: Final = {"generationConfig": "generation_config"}
_SAME_CAP: Final = {
    "maxOutputTokens": "max_output_tokens", "max_output_tokens": "maxOutputTokens",
    "max_new_tokens": "max_tokens",
}  # fmt: skip


def _cap_thinking(members: _Members, raw: msgspec.Raw, most: int) -> None:
    """Anthropic wants `budget_tokens` below `max_tokens`; with too little room, no thinking."""
    thinking = msgspec.json.decode(raw)
    budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
    if isinstance(budget, int) and budget >= most:
        del members["thinking"]


def _cap_name(members: _Members, dialect: Dialect) -> str | None:
    """The member that caps output where neither the path says so nor the client set one; None where
    nothing is generated.
    """
    if "contents" in members:
        return "generationConfig.maxOutputTokens"
    if "sampling_params" in members and "inputs" not in members:
        return "sampling_params.max_new_tokens"
    if dialect is Dialect.ANTHROPIC:
        return "max_tokens" if "messages" in members else None
    if dialect is Dialect.OPENAI:
        if "messages" in members:
            return "max_tokens"
        if "input" in members:
            return "max_output_tokens"
        return "max_tokens" if "prompt" in members else None
    if "inputs" in members:
        return "parameters.max_new_tokens"
    return "max_tokens" if "messages" in members or "message" in members else None


#: What the requests of a batch are sent to, by what holds them.
_ENVELOPES: Final = {
    "params": "/v1/messages", "body": "/v1/chat/completions", "request": ":generatecontent",
}  # fmt: skip
#: What generates nothing that is counted in tokens, or has no cap.
_UNCAPPED: Final = (
    "/embeddings",
    "/embed",
    "/count_tokens",
    "/input_tokens",
    ":counttokens",
    ":computetokens",
    ":embedcontent",
    ":batchembedcontents",
    "/count-tokens",
    "/moderations",
    "/audio/speech",
    "/images/generations",
    "/videos",
    "/rerank",
    "/reranking",
    "/score",
    "/classify",
    "/pooling",
    "/tokenize",
    "/detokenize",
    "/embedding",
    "/embed_all",
    "/embed_sparse",
    "/encode",
    "/apply-template",
    "/chat_tokenize",
    "/render",
)


def _drop_probabilities(members: _Members) -> None:
    for name in PROBABILITIES:
        members.pop(name, None)
    include = _value(members, "include")
    if isinstance(include, list) and _INCLUDED_PROBABILITIES in include:
        kept = [item for item in include if item != _INCLUDED_PROBABILITIES]
        members["include"] = msgspec.Raw(_encode(kept))
