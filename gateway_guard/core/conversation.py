"""The turns of a request body: which text is whose, and how much of everything there is."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any, Final

import msgspec

from gateway_guard.core.members import MESSAGE_MEMBERS, Misshapen, check_names
from gateway_guard.core.texts import FIRST, texts_and_files


class Reader(msgspec.Struct):
    """Collects one document's text and counts.

    Attributes:
        system: texts of the system and of developers, in order.
        user, before: the user's last text, and the one of the turn before it; empty for none.
        messages, media: how many there are; media are images, sounds and files.
        chars, extra: characters of all text, and the bytes of their UTF-8 beyond one a character.
    """

    # A record, because those are made in C.
    system: list[str] = []
    user: str = ""
    before: str = ""
    messages: int = 0
    chars: int = 0
    extra: int = 0
    media: int = 0

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
                if content is not None:
                    self.beside(message, content)
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
                    self.before, self.user = self.user, text
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
            elif type(part) is dict:
                text = part.get("text")
                if type(text) is str:
                    texts.append(text)
                else:
                    check_names(part, MESSAGE_MEMBERS, MESSAGE_MEMBERS)
                    self.other_part(part)
            elif part is not None:
                raise Misshapen
        whole = "".join(texts)
        self.add(whole)
        return whole

    def beside(self, message: Mapping[str, Any], content: Any) -> None:
        """Count what a turn holds beside its content: calls of tools, reasoning, images."""
        rest = {
            name: value for name, value in message.items()
            if value is not content and name not in _LABELS
        }  # fmt: skip
        if rest:
            self.loose(rest)

    def other_part(self, part: dict[str, Any]) -> None:
        kind = part.get("type")
        if (
            (kind in _TELLING or kind.endswith(_TELLING_ENDS))
            if type(kind) is str
            else kind is None and not _CALLS.isdisjoint(part)
        ):
            self.loose(part)
        else:
            source = part.get("source")
            if type(source) is dict and source.get("type") in ("text", "content"):
                self.loose(source)
            else:
                self.media += 1

    def loose(self, value: Any) -> None:
        """Count what is nobody's turn: calls of tools and their results, variables."""
        texts, files = texts_and_files(value)
        for text in texts:
            self.add(text)
        self.media += files

    def unknown(self, document: Mapping[str, Any]) -> None:
        """Count a document in which no prompt was found: all its text, and lists of tokens."""
        self.loose(document)
        for value in document.values():
            if type(value) is list and value and type(value[0]) is int:
                self.chars += 4 * len(value)

    def system_text(self, value: Any) -> None:
        self.messages += 1
        if type(value) is str:
            self.system.append(value)
            self.add(value)
        elif type(value) is dict and "parts" in value:
            self.system.append(self.parts(value["parts"]))
        elif value is not None:
            self.system.append(self.parts(value))


#: Types of parts that are text to the model, and how others of them end: calls of tools, results.
_TELLING: Final = frozenset(("refusal", "thinking", "search_result", "reasoning", "tool_reference"))
_TELLING_ENDS: Final = ("tool_result", "tool_use", "_call", "_output")
#: What such parts hold where they have no type: Gemini and Bedrock.
_CALLS: Final = frozenset((
    "functionCall", "functionResponse", "function_call", "function_response", "toolUse",
    "toolResult", "reasoningContent", "executableCode", "codeExecutionResult",
))  # fmt: skip
#: Members of a turn that label it.
_LABELS: Final = frozenset((
    "role", "type", "id", "status", "name", "tool_call_id", "call_id", "cache_control",
))  # fmt: skip


#: What most chats consist of: of all that is read, only these, and what is not read at all.
PLAIN: Final = frozenset((
    "model", "messages", "max_tokens", "stream",
    "temperature", "top_p", "top_k", "stop", "stop_sequences", "seed", "user", "metadata",
    "presence_penalty", "frequency_penalty", "store", "service_tier", "reasoning_effort",
))  # fmt: skip


def read_texts(document: dict[str, Any], reader: Reader) -> int:
    """Read every place a dialect keeps its prompt in; how many prompts are completed at once."""
    prompts = 1
    for name, value in document.items():
        if name not in _READ or value is None:
            continue
        if name == "messages" or name == "contents" or name == "chat_history":
            reader.conversation([value] if name == "contents" and type(value) is dict else value)
        elif name in _SYSTEM:
            reader.system_text(value)
        elif name in _PROMPTS:
            prompts = max(prompts, _prompt(name, value, reader))
        elif name == "text":
            # SGLang's prompt, and what others classify; in OpenAI's responses an object.
            if type(value) is str or type(value) is list:
                prompts = max(prompts, _prompt(name, value, reader))
        elif name in _ENCODED:
            prompts = max(prompts, _encoded(value, reader))
        elif name in _COMPARED:
            reader.loose({name: value})
    return prompts


_SYSTEM: Final = frozenset(FIRST)
#: What rankers and scorers compare, and images beside a prompt; nobody's turn.
_COMPARED: Final = frozenset((
    "query", "queries", "documents", "items", "text_1", "text_2", "images", "image_data",
))  # fmt: skip
_PROMPTS: Final = frozenset(("prompt", "input", "inputs", "message", "suffix"))
#: All that is read; others there may be 60,000 of.
_READ: Final = _SYSTEM | _COMPARED | _PROMPTS | {
    "messages", "contents", "chat_history", "text", "input_ids", "prompt_embeds",
}  # fmt: skip
#: Prompts as SGLang and vLLM take them from who has encoded them: tokens, and vectors.
_ENCODED: Final = frozenset(("input_ids", "prompt_embeds"))
#: Beside `prompt`, of whose texts each is answered by itself; of other texts vectors are made.
_ANSWERED: Final = frozenset(("text", "inputs"))


def _prompt(name: str, value: Any, reader: Reader) -> int:
    if type(value) is str:
        if name != "suffix":
            reader.user = value
            reader.messages += 1
        reader.add(value)
        return 1
    if type(value) is dict:
        if name == "input":
            return _input(value, reader)
        # A stored prompt and its variables (Responses).
        reader.loose(value)
        return 1
    if type(value) is not list:
        raise Misshapen
    if value and type(value[0]) is int:
        reader.chars += 4 * len(value)
        return 1
    if value and type(value[0]) is list:
        _lists(value, reader)
    else:
        reader.conversation(value)
    if name == "prompt":
        return max(len(value), 1)
    # What is one conversation has objects for turns, and what is compared stands in lists.
    return max(sum([type(one) is str for one in value]), 1) if name in _ANSWERED else 1


def _lists(value: list[Any], reader: Reader) -> None:
    """Count lists of tokens, or of texts, each a token at least: pairs to compare (TEI), parts of a
    document (Voyage)."""
    lists = [one for one in value if type(one) is list]
    reader.chars += 4 * sum(map(len, lists))
    if len(lists) < len(value) or not _TOKENS.issuperset(map(type, chain.from_iterable(lists))):
        reader.loose(value)


_TOKENS: Final = frozenset((int,))


def _input(value: dict[str, Any], reader: Reader) -> int:
    """Read an input that is one object: a turn or its content (Gemini's interactions), or what
    holds the prompt (Replicate).
    """
    if not MESSAGE_MEMBERS.isdisjoint(value):
        reader.conversation([value])
        return 1
    held = {name: value[name] for name, kind in _HELD.items() if isinstance(value.get(name), kind)}
    prompts = read_texts(held, reader)
    reader.loose({name: told for name, told in value.items() if name not in held})
    return prompts


#: What such an object holds that is read, and as what.
_HELD: Final[Mapping[str, type]] = {"prompt": str, "system_prompt": str, "messages": list}


def _encoded(value: Any, reader: Reader) -> int:
    """Count tokens, or lists of them, or vectors; how many prompts they are."""
    if type(value) is not list or (value and type(value[0]) is int):
        reader.chars += 4 * len(value) if type(value) is list else 0
        return 1
    reader.chars += 4 * sum([len(tokens) for tokens in value if type(tokens) is list])
    return max(len(value), 1)


def read_tools(document: Mapping[str, Any], reader: Reader) -> int:
    """Count what the model is told of tools and of the form of its answer; how many tools."""
    found = 0
    for name in _TOOLS:
        tools = document.get(name)
        if tools is not None:
            if type(tools) is not list:
                raise Misshapen
            reader.chars += len(msgspec.json.encode(tools))
            found += len(tools)
    for name in _FORMS:
        form = document.get(name)
        if type(form) is dict:
            reader.chars += len(msgspec.json.encode(form))
    return found


_TOOLS: Final = ("tools", "functions")
#: Objects whose text reaches the model: schemas of answers (OpenAI's chats and responses, Ollama),
#: an answer foretold, Bedrock's tools.
_FORMS: Final = ("response_format", "text", "format", "prediction", "toolConfig")
