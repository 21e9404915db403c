"""The members of a request body that decide what is read, generated or charged, read strictly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gateway_guard.core.caps import BATCHED, ENDLESS, LENGTH

#: Longest model name believed, characters.
LONGEST_MODEL: Final = 256
#: A cap beyond this is none (the largest context windows have 10 million tokens).
MOST_TOKENS: Final = 1 << 31
#: What holds a request that names its model, in a batch: Anthropic's, Mistral's.
_ENVELOPES: Final = ("params", "body")
#: More completions than any API gives; larger values are refused upstream.
_MOST_COMPLETIONS: Final = 4096

#: Members that ask for probabilities of tokens, or for what they come from: OpenAI and vLLM, then
#: llama.cpp, SGLang and Cohere.
PROBABILITIES: Final = (
    "logprobs", "top_logprobs", "prompt_logprobs", "n_probs", "return_logprob", "top_logprobs_num",
    "token_ids_logprob", "return_hidden_states", "return_likelihoods",
)  # fmt: skip
#: Objects in which other dialects ask for them.
NESTED_PROBABILITIES: Final = {
    "generationConfig": ("responseLogprobs", "response_logprobs"),
    "generation_config": ("responseLogprobs", "response_logprobs"),
    "sampling_params": ("logprobs", "prompt_logprobs"),
    "parameters": ("top_n_tokens", "decoder_input_details", "logprobs", "prompt_logprobs"),
}
#: Members that decide what is read, generated or charged.
MEMBERS: Final = frozenset((
    *PROBABILITIES, "model", "messages", "system", "prompt", "input", "instructions", "suffix",
    "tools", "functions", "n", "best_of", "max_tokens",
    "max_completion_tokens", "max_output_tokens", "max_tokens_to_sample", "max_gen_len", "stream",
    "stream_options", "include", "requests", "contents", "systemInstruction",
    "system_instruction", "system_prompt", "generationConfig", "generation_config", "options",
    "inferenceConfig", "textGenerationConfig",
    "message", "chat_history", "preamble", "inputs", "parameters", "n_predict", "sampling_params",
    "text", "query", "queries", "documents", "text_1", "text_2",
))  # fmt: skip
MEMBERS_FOLDED: Final = frozenset(name.casefold() for name in MEMBERS)
MESSAGE_MEMBERS: Final = frozenset(("role", "content", "parts", "text", "type"))
_CAPS: Final = (
    "max_tokens", "max_completion_tokens", "max_output_tokens", "max_tokens_to_sample", "n_predict",
    "max_gen_len",
)  # fmt: skip
#: Where other dialects keep the same: (object, cap, completions).
_NESTED: Final = (
    ("generationConfig", "maxOutputTokens", "candidateCount"),
    ("generation_config", "max_output_tokens", "candidate_count"),
    # Protocol buffers are read in either spelling, at every level.
    ("generationConfig", "max_output_tokens", "candidate_count"),
    ("generation_config", "maxOutputTokens", "candidateCount"),
    ("sampling_params", "max_new_tokens", "n"),
    ("sampling_params", "max_tokens", ""),
    ("options", "num_predict", ""),
    ("inferenceConfig", "maxTokens", ""),
    # Bedrock's Nova and Titan; vLLM behind Triton.
    ("inferenceConfig", "max_new_tokens", ""),
    ("textGenerationConfig", "maxTokenCount", ""),
    ("parameters", "max_tokens", "n"),
    ("parameters", "max_new_tokens", "best_of"),
    ("parameters", "maxOutputTokens", "candidateCount"),
)


class Misshapen(Exception):  # noqa: N818 - it says what the body is
    """A member that decides what is read, generated or charged has a type no upstream expects."""


def check_names(members: Mapping[str, Any], known: frozenset[str], folded: frozenset[str]) -> None:
    """Refuse a member that differs from a known one only in case: Go upstreams read it as that."""
    for name in members:
        if name not in known and name.casefold() in folded:
            raise Misshapen


def model_of(document: Mapping[str, Any]) -> str | None:
    """The model asked for, white space around it removed; None when none is named.

    A batch asks for one: of several, rules and limits could see only one.

    Raises:
        Misshapen: the name is no name, or there are two, as in a batch for different models.
    """
    model = document.get("model")
    if "model_id" in document or "session" in document:
        model = _named_elsewhere(document, model)
    if model is not None:
        if type(model) is not str or len(model) > LONGEST_MODEL or not model.isprintable():
            raise Misshapen
        model = model.strip()
    if "requests" in document:
        requests = document["requests"]
        for request in requests if type(requests) is list else ():
            for name in _ENVELOPES if type(request) is dict else ():
                params = request.get(name)
                other = params.get("model") if type(params) is dict else None
                if other is None:
                    continue
                if type(other) is not str or len(other) > LONGEST_MODEL or not other.isprintable():
                    raise Misshapen
                other = other.strip()
                if model and other.casefold() != model.casefold():
                    raise Misshapen
                model = other
    return model


def _named_elsewhere(document: Mapping[str, Any], model: Any) -> Any:
    """The model as watsonx and OpenAI's sessions name it, which has to be `model`, if any.

    Raises:
        Misshapen: it is another one.
    """
    session = document.get("session")
    within = session.get("model") if type(session) is dict else None
    for other in (document.get("model_id"), within):
        if other is None:
            continue
        if model is not None and other != model:
            raise Misshapen
        model = other
    return model


def whole(value: Any, most: int) -> int | None:
    """A count, as lenient upstreams read it: an integer or an integral float, >= 0."""
    if value is None:
        return None
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int or value < 0:
        raise Misshapen
    return value if value < most else most


def flag(value: Any) -> bool:
    if value is None:
        return False
    if type(value) is not bool:
        raise Misshapen
    return value


def counts(
    document: Mapping[str, Any], caps: Sequence[str] | None = None
) -> tuple[int | None, int]:
    """The output cap and the number of completions per prompt.

    `caps` are the members its route reads (`core.caps`); without any of them there is no cap,
    whatever else is there. None where any may be one.
    """
    bounds: list[int | None] = []
    given: list[str] = []
    for name in (*_CAPS, LENGTH) if caps is not None and LENGTH in caps else _CAPS:
        value = document.get(name)
        if value is not None:
            given.append(name)
            bounds.append(bound(value, name, caps))
    n = whole(document.get("n"), _MOST_COMPLETIONS) or 1
    if "best_of" in document:
        n = max(n, whole(document["best_of"], _MOST_COMPLETIONS) or 1)
    for where, cap_name, n_name in _NESTED:
        inner = document.get(where)
        if inner is None:
            continue
        if type(inner) is not dict:
            raise Misshapen
        value = inner.get(cap_name)
        if value is not None:
            given.append(f"{where}.{cap_name}")
            bounds.append(bound(value, cap_name, caps))
        if n_name:
            n = max(n, whole(inner.get(n_name), _MOST_COMPLETIONS) or 1)
    if not given or (caps is not None and not any(name in caps for name in given)):
        return None, n
    return _largest(bounds), n


def bound(value: Any, name: str, caps: Sequence[str] | None) -> int | None:
    """The cap `name` on a route that reads `caps`. Negative is none to llama.cpp, Ollama and LM
    Studio, and 0 to Ollama; others refuse it, but for Anthropic, where 0 is nothing written.
    """
    if type(value) is int and value < 0:
        return None
    tokens = whole(value, MOST_TOKENS)
    return None if tokens == 0 and name in ENDLESS and caps != BATCHED else tokens


def _largest(bounds: Sequence[int | None]) -> int | None:
    """Upstreams differ on which of two caps wins: assume the larger, and of one that is none that
    nothing is bounded.
    """
    largest = 0
    for tokens in bounds:
        if tokens is None:
            return None
        largest = max(largest, tokens)
    return largest


def logprobs(document: Mapping[str, Any]) -> bool:
    value = document.get("logprobs")
    if value is not None and value is not False:
        if value is not True and type(value) is not int:
            raise Misshapen
        return True
    for name in PROBABILITIES:
        if _asks(document, name):
            return True
    include = document.get("include")
    if type(include) is list and "message.output_text.logprobs" in include:
        return True
    for where, names in NESTED_PROBABILITIES.items():
        inner = document.get(where)
        if type(inner) is dict and any(_asks(inner, name) for name in names):
            return True
    return False


def _asks(members: Mapping[str, Any], name: str) -> bool:
    """Whether a member asks for probabilities. Of the token itself, none beside it, vLLM tells for
    a 0.
    """
    value = members.get(name)
    return bool(value) or (value == 0 and value is not False and name in _WITH_0)


_WITH_0: Final = frozenset(("logprobs", "prompt_logprobs"))


def check_merged(document: Mapping[str, Any]) -> None:
    """Refuse an `extra_body` that decides anything: gateways put its members over the body's."""
    extra = document.get("extra_body")
    if type(extra) is dict and not MEMBERS_FOLDED.isdisjoint(map(str.casefold, extra)):
        raise Misshapen
