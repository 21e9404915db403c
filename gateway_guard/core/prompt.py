"""Body → `PromptShape`: lengths, digests and counts of a prompt, never its text."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import xxhash

from gateway_guard.core.members import (
    MEMBERS,
    MEMBERS_FOLDED,
    MESSAGE_MEMBERS,
    MOST_TOKENS,
    Misshapen,
    check_names,
    counts,
    flag,
    logprobs,
    whole,
)
from gateway_guard.core.phrases import Phrases, fold, squeeze
from gateway_guard.core.shapes import Seeds, fragments, role_shape
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


class _Reader:
    """Collects one document's text and counts."""

    __slots__ = ("chars", "extra", "media", "messages", "system", "user")

    def __init__(self) -> None:
        self.system: list[str] = []
        self.user = ""
        self.messages = 0
        self.chars = 0
        self.extra = 0
        self.media = 0

    def add(self, text: str) -> None:
        self.chars += len(text)
        if not text.isascii():
            self.extra += len(text.encode("utf-8", "replace")) - len(text)

    def conversation(self, messages: Any) -> None:
        if type(messages) is not list:
            raise Misshapen
        for message in messages:
            if type(message) is not dict:
                if type(message) is str:
                    # A list of texts (embeddings, batched completions).
                    self.user = message
                    self.messages += 1
                    self.add(message)
                    continue
                raise Misshapen
            self.messages += 1
            content = message.get("content")
            role = message.get("role")
            if len(message) != 2 or content is None or role is None:
                check_names(message, MESSAGE_MEMBERS, MESSAGE_MEMBERS)
                if content is None:
                    content = message.get("parts", message.get("text", message.get("message")))
            if type(content) is str:
                text = content
                self.add(text)
            elif content is None:
                text = ""
                self.loose(message)
            else:
                text = self.parts(content)
            if role == "user" or role is None or role == "User":
                if text:
                    self.user = text
            elif role in ("system", "developer"):
                self.system.append(text)
            elif type(role) is not str:
                raise Misshapen

    def parts(self, content: Any) -> str:
        """The text of a list of content parts; counts what else is in it."""
        if type(content) is dict:
            content = [content]
        if type(content) is not list:
            raise Misshapen
        texts: list[str] = []
        for part in content:
            if type(part) is str:
                texts.append(part)
                self.add(part)
            elif type(part) is dict:
                text = part.get("text")
                if type(text) is str:
                    texts.append(text)
                    self.add(text)
                else:
                    check_names(part, MESSAGE_MEMBERS, MESSAGE_MEMBERS)
                    self.other_part(part)
            elif part is not None:
                raise Misshapen
        return "".join(texts)

    def other_part(self, part: dict[str, Any]) -> None:
        kind = part.get("type")
        if (type(kind) is str and kind in _TOOL_PARTS) or (
            kind is None and ("functionCall" in part or "functionResponse" in part)
        ):
            self.loose(part)
        else:
            source = part.get("source")
            if type(source) is dict and source.get("type") == "text":
                self.loose(source)
            else:
                self.media += 1

    def loose(self, value: Any) -> None:
        """Count text that is nobody's turn: tool results, tool definitions, variables."""
        for text in strings(value):
            self.add(text)

    def system_text(self, value: Any) -> None:
        self.messages += 1
        if type(value) is str:
            self.system.append(value)
            self.add(value)
        elif type(value) is dict and "parts" in value:
            self.system.append(self.parts(value["parts"]))
        elif value is not None:
            self.system.append(self.parts(value))


_TOOL_PARTS: Final = frozenset((
    "tool_result", "tool_use", "function_call_output", "function_call", "refusal", "thinking",
))  # fmt: skip


#: Members whose strings name things; they are not text a model reads as prompt.
_NAMING: Final = frozenset(("role", "type", "model"))


def strings(value: Any) -> list[str]:
    """Every string value inside `value`, in document order, but for roles, types and the model."""
    found: list[str] = []
    stack: list[Any] = [value]
    while stack:
        item = stack.pop()
        kind = type(item)
        if kind is str:
            found.append(item)
        elif kind is dict:
            stack.extend([item[key] for key in reversed(item) if key not in _NAMING])
        elif kind is list:
            stack.extend(reversed(item))
    return found


def shape(
    document: dict[str, Any],
    keys: Seeds,
    policy_phrases: Phrases | None = None,
    *,
    digests: bool = True,
    assumed_output_tokens: int = 1024,
) -> PromptShape:
    """What the guard keeps of a request body.

    `policy_phrases` are searched in every string of the document; the elicitation categories in the
    system text and the last user text. `input_tokens` is an estimate: a quarter of the characters,
    more for other scripts, `_PER_MESSAGE` a message and `_PER_MEDIUM` an image, sound or file.
    Without `digests` no text is digested or searched for elicitation. `assumed_output_tokens` is
    passed on, for limits.

    Raises:
        Misshapen: a member that decides what is read, generated or charged has an unexpected type,
            or differs from one only in case.
    """
    plain = _PLAIN.issuperset(document)
    reader = (_ordinary(document) if plain else None) or _Reader()
    tools, n, batch, with_logprobs, include_usage = 0, 1, 0, False, False
    if plain:
        if not reader.messages:
            _read_texts(document, reader)
        cap = whole(document.get("max_tokens"), MOST_TOKENS)
    else:
        check_names(document, MEMBERS, MEMBERS_FOLDED)
        completions = _read_texts(document, reader)
        tools = _tools(document, reader)
        cap, n = counts(document)
        n *= completions
        requests = document.get("requests")
        if type(requests) is list and requests:
            batch = len(requests)
            cap = _batch(requests, reader, assumed_output_tokens)
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
    if digests:
        if reader.system:
            system = reader.system[0] if len(reader.system) == 1 else "\n".join(reader.system)
            if system:
                role, categories = _system(system, keys)
                roles = (role,)
        if reader.user:
            user, window = role_shape("user", reader.user, keys)
            roles = (*roles, user)
            pieces = fragments(window, keys)
            asked = elicitation().find(squeeze(reader.user))
            if asked:
                categories = tuple(sorted({*categories, *asked})) if categories else asked

    return PromptShape(
        messages=reader.messages,
        chars=reader.chars,
        roles=roles,
        shingles=pieces,
        elicitation=categories,
        phrases=_phrases(document, policy_phrases) if policy_phrases is not None else (),
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


#: What most chats consist of: of all that is read, only these, and what is not read at all.
_PLAIN: Final = frozenset((
    "model", "messages", "max_tokens", "stream",
    "temperature", "top_p", "top_k", "stop", "stop_sequences", "seed", "user", "metadata",
    "presence_penalty", "frequency_penalty", "store", "service_tier", "reasoning_effort",
))  # fmt: skip


def _ordinary(document: dict[str, Any]) -> _Reader | None:
    """The texts of a chat of nothing but turns of plain text; None for anything else."""
    messages = document.get("messages")
    if type(messages) is not list:
        return None
    chars = extra = 0
    user = ""
    system: list[str] = []
    for message in messages:
        if type(message) is not dict or len(message) != 2:
            return None
        text = message.get("content")
        if type(text) is not str:
            return None
        role = message.get("role")
        if role == "user":
            if text:
                user = text
        elif role == "system" or role == "developer":
            system.append(text)
        elif role != "assistant":
            return None
        chars += len(text)
        if not text.isascii():
            extra += len(text.encode("utf-8", "replace")) - len(text)
    reader = _Reader()
    reader.messages = len(messages)
    reader.chars = chars
    reader.extra = extra
    reader.user = user
    reader.system = system
    return reader


#: Keyed digest of a system text → what is kept of it. Thousands of requests share a system prompt,
#: and agents' prompts are long; the text itself is not kept.
_systems: dict[bytes, tuple[RoleShape, tuple[str, ...]]] = {}
_MOST_SYSTEMS: Final = 4096


def _system(text: str, keys: Seeds) -> tuple[RoleShape, tuple[str, ...]]:
    """The shape of a system text and the elicitation categories in it."""
    digest = xxhash.xxh3_128_digest(text.encode("utf-8", "replace"), keys.head)
    known = _systems.get(digest)
    if known is None:
        shape_of, _ = role_shape("system", text, keys)
        known = shape_of, elicitation().find(squeeze(text))
        if len(_systems) >= _MOST_SYSTEMS:
            _systems.clear()
        _systems[digest] = known
    return known


def _read_texts(document: dict[str, Any], reader: _Reader) -> int:
    """Read every place a dialect keeps its prompt in; how many prompts are completed at once."""
    prompts = 1
    for name, value in document.items():
        if value is None:
            continue
        if name == "messages" or name == "contents" or name == "chat_history":
            reader.conversation([value] if name == "contents" and type(value) is dict else value)
        elif name in _SYSTEM:
            reader.system_text(value)
        elif name in _PROMPTS:
            prompts = _prompt(name, value, reader)
    return prompts


_SYSTEM: Final = frozenset((
    "system", "instructions", "systemInstruction", "system_instruction", "preamble",
))  # fmt: skip
_PROMPTS: Final = frozenset(("prompt", "input", "inputs", "message", "suffix"))


def _prompt(name: str, value: Any, reader: _Reader) -> int:
    if type(value) is str:
        if name != "suffix":
            reader.user = value
            reader.messages += 1
        reader.add(value)
        return 1
    if type(value) is dict:
        # A stored prompt and its variables (Responses).
        reader.loose(value)
        return 1
    if type(value) is not list:
        raise Misshapen
    if value and type(value[0]) is int:
        reader.chars += 4 * len(value)
        return 1
    if value and type(value[0]) is list:
        reader.chars += 4 * sum([len(tokens) for tokens in value if type(tokens) is list])
    else:
        reader.conversation(value)
    return max(len(value), 1) if name == "prompt" else 1


def _tools(document: Mapping[str, Any], reader: _Reader) -> int:
    tools = document.get("tools")
    if tools is None:
        tools = document.get("functions")
        if tools is None:
            return 0
    if type(tools) is not list:
        raise Misshapen
    reader.chars += len(msgspec.json.encode(tools))
    return len(tools)


def _batch(requests: Sequence[Any], reader: _Reader, assumed: int) -> int:
    """A batch of messages: every request in it is read; the output tokens of all together.

    A request without a cap counts as `assumed` tokens per completion.
    """
    total = 0
    for request in requests:
        params = request.get("params") if type(request) is dict else None
        if type(params) is not dict:
            raise Misshapen
        check_names(params, MEMBERS, MEMBERS_FOLDED)
        completions = _read_texts(params, reader)
        _tools(params, reader)
        cap, n = counts(params)
        total += (assumed if cap is None else cap) * n * completions
    return total


def _phrases(document: dict[str, Any], phrases: Phrases) -> tuple[str, ...]:
    texts = [fold(text) for text in strings(document)]
    found = phrases.find(b"".join(texts))
    if len(texts) > 1:
        # Upstreams join parts with nothing, a space or a newline: look at both.
        more = phrases.find(b" ".join(texts))
        if more != found:
            found = tuple(sorted({*found, *more}))
    return found
