"""Whose text is whose, and how much of everything there is in a body."""

from __future__ import annotations

from typing import Any

import pytest

from gateway_guard.core.conversation import Reader, read_texts, read_tools
from gateway_guard.core.members import Misshapen

#: A file as JSON carries it, and as the URL of itself.
PICTURE = "iVBORw0KGgo" * 50
URL = f"data:image/png;base64,{PICTURE}"


def read(document: dict[str, Any]) -> tuple[int, Reader]:
    reader = Reader(system=[])
    return read_texts(document, reader), reader


def counted(document: dict[str, Any]) -> dict[str, Any]:
    """What differs from a body with nothing in it."""
    completions, found = read(document)
    empty = Reader(system=[])
    told = {
        name: getattr(found, name)
        for name in found.__struct_fields__
        if getattr(found, name) != getattr(empty, name)
    }
    return told if completions == 1 else told | {"completions": completions}


def turn(role: str | None, content: Any, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more} if role else {"content": content, **more}


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([turn("user", "ab"), turn("assistant", "cde"), turn("user", "f")],
         {"user": "f", "before": "ab", "messages": 3, "chars": 6}),
        ([turn("User", "ab")], {"user": "ab", "messages": 1, "chars": 2}),
        ([turn(None, "ab")], {"user": "ab", "messages": 1, "chars": 2}),
        ([turn("USER", "ab")], {"messages": 1, "chars": 2}),
        ([turn("system", "ab"), turn("developer", "c")],
         {"system": ["ab", "c"], "messages": 2, "chars": 3}),
        # A turn without text is no turn of the user's.
        ([turn("user", "ab"), turn("user", ""), turn("user", [])],
         {"user": "ab", "messages": 3, "chars": 2}),
        ([{"role": "user", "parts": [{"text": "ab"}]}], {"user": "ab", "messages": 1, "chars": 2}),
        ([{"role": "user", "text": "ab"}], {"user": "ab", "messages": 1, "chars": 2}),
        ([{"role": "USER", "message": "ab"}], {"messages": 1, "chars": 2}),
        ([{"role": "user", "message": "ab"}], {"user": "ab", "messages": 1, "chars": 2}),
        ([{"role": "user", "content": "ab", "name": "x"}],
         {"user": "ab", "messages": 1, "chars": 2}),
        # Nobody's text counts all the same.
        ([{"role": "assistant", "tool_calls": [{"arguments": "abc"}]}],
         {"messages": 1, "chars": 3}),
        ([{"role": "assistant", "content": None, "refusal": "ab"}], {"messages": 1, "chars": 2}),
        # So does what stands beside content, labels aside.
        ([turn("assistant", "", tool_calls=[{"function": {"arguments": "abc"}}])],
         {"messages": 1, "chars": 3}),
        ([turn("assistant", "a", reasoning_content="bc", refusal=None)],
         {"messages": 1, "chars": 3}),
        ([turn("user", [], parts=[{"text": "abc"}])], {"messages": 1, "chars": 3}),
        ([turn("user", "ab", images=[PICTURE, PICTURE])],
         {"user": "ab", "messages": 1, "chars": 2, "media": 2}),
        ([turn("user", "ab", id="x", type="message", status="done", cache_control={"a": "b"})],
         {"user": "ab", "messages": 1, "chars": 2}),
        (["ab", "cde"], {"user": "cde", "messages": 2, "chars": 5}),
        (["ab", turn("user", "c")], {"user": "c", "before": "ab", "messages": 2, "chars": 3}),
        # UTF-8 beyond one byte a character.
        ([turn("user", "ä€😀")], {"user": "ä€😀", "messages": 1, "chars": 3, "extra": 6}),
        ([], {}),
    ],
)  # fmt: skip
def test_turns_are_told_apart(messages: list[Any], expected: dict[str, Any]) -> None:
    assert counted({"messages": messages}) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([{"type": "text", "text": "ab"}, {"type": "text", "text": "c"}],
         {"user": "abc", "chars": 3}),
        (["ab", "c"], {"user": "abc", "chars": 3}),
        ({"text": "ab"}, {"user": "ab", "chars": 2}),
        ([None, {"text": "ab"}], {"user": "ab", "chars": 2}),
        ([{"type": "image_url", "image_url": {"url": "abc"}}], {"media": 1}),
        ([{"text": "ab"}, {"inlineData": {}}, {"fileData": {}}],
         {"user": "ab", "chars": 2, "media": 2}),
        ([{"type": "tool_result", "content": "abc"}], {"chars": 3}),
        ([{"functionResponse": {"response": {"x": "abc"}}}], {"chars": 3}),
        ([{"functionCall": {"args": {"x": "abc"}}}], {"chars": 3}),
        ([{"toolResult": {"content": [{"text": "abc"}]}}], {"chars": 3}),
        ([{"reasoningContent": {"reasoningText": {"text": "abc"}}}], {"chars": 3}),
        ([{"type": "mcp_tool_result", "content": [{"type": "text", "text": "abc"}]}],
         {"chars": 3}),
        ([{"type": "server_tool_use", "input": {"query": "abc"}}], {"chars": 3}),
        ([{"type": "search_result", "title": "a", "content": [{"text": "bc"}]}], {"chars": 3}),
        # A file in a result is no text, whatever its size; text there is, however it is written.
        ([{"type": "tool_result", "content": [{"type": "image", "source": {"data": PICTURE}}]}],
         {"media": 1}),
        ([{"functionResponse": {"parts": [{"inlineData": {"data": PICTURE}}]}}], {"media": 1}),
        ([{"type": "tool_result", "content": PICTURE}], {"chars": len(PICTURE)}),
        ([{"type": "tool_result", "data": "two words " * 40}], {"chars": 400}),
        ([{"type": "tool_result", "data": "ä" * 400}], {"chars": 400, "extra": 400}),
        ([{"type": "tool_result", "data": "a" * 256}], {"chars": 256}),
        # A part that says what it is, is that.
        ([{"type": "image", "functionCall": {"x": "abc"}}], {"media": 1}),
        ([{"type": "document", "source": {"type": "text", "data": "abc"}}], {"chars": 3}),
        ([{"type": "document", "source": {"type": "base64", "data": "abc"}}], {"media": 1}),
        ([{"type": "document", "source": {"type": "content", "content": [{"text": "abc"}]}}],
         {"chars": 3}),
        ([{"type": "document", "source": "abc"}], {"media": 1}),
        ([{"type": 5}], {"media": 1}),
    ],
)  # fmt: skip
def test_parts_are_text_or_media_or_nobodys(content: Any, expected: dict[str, Any]) -> None:
    assert counted({"messages": [turn("user", content)]}) == {"messages": 1} | expected


@pytest.mark.parametrize(
    "messages",
    ["ab", {"a": 1}, [5], [None], [turn("user", 5)], [turn("user", [5])], [turn("user", [["a"]])],
     [{"role": 5, "content": "a"}], [{"role": "user", "Content": "a"}],
     [{"role": "user", "content": [{"Text": "a"}]}], [{"role": ["user"], "content": "a"}]],
)  # fmt: skip
def test_what_no_upstream_expects_is_misshapen(messages: Any) -> None:
    with pytest.raises(Misshapen):
        read({"messages": messages})


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"prompt": "ab"}, {"user": "ab", "messages": 1, "chars": 2}),
        ({"prompt": ""}, {"messages": 1}),
        ({"suffix": "ab"}, {"chars": 2}),
        ({"prompt": "ab", "suffix": "c"}, {"user": "ab", "messages": 1, "chars": 3}),
        ({"input": "ab"}, {"user": "ab", "messages": 1, "chars": 2}),
        ({"prompt": {"id": "p", "variables": {"x": "abc"}}}, {"chars": 4}),
        # Tokens are four characters each.
        ({"prompt": [1, 2, 3]}, {"chars": 12}),
        ({"input": [1, 2, 3]}, {"chars": 12}),
        ({"prompt": [[1, 2], [3]]}, {"chars": 12, "completions": 2}),
        ({"prompt": [[1, 2], "x"]}, {"chars": 9, "completions": 2}),
        ({"input": [[1, 2], [3]]}, {"chars": 12}),
        ({"prompt": ["ab", "c", "d"]},
         {"user": "d", "messages": 3, "chars": 4, "completions": 3}),
        ({"prompt": []}, {}),
        ({"input": ["ab", "c"]}, {"user": "c", "messages": 2, "chars": 3}),
        ({"input": [turn("user", "ab")]}, {"user": "ab", "messages": 1, "chars": 2}),
        # One object: Gemini's interactions, Replicate's predictions.
        ({"input": {"type": "text", "text": "ab"}}, {"user": "ab", "messages": 1, "chars": 2}),
        ({"input": {"role": "user", "content": "ab"}}, {"user": "ab", "messages": 1, "chars": 2}),
        ({"input": turn("user", [{"type": "text", "text": "ab"}])},
         {"user": "ab", "messages": 1, "chars": 2}),
        ({"input": {"prompt": "ab", "system_prompt": "cd", "top_k": 5, "negative": "e"}},
         {"user": "ab", "system": ["cd"], "messages": 2, "chars": 5}),
        ({"input": {"messages": [turn("user", "ab")]}}, {"user": "ab", "messages": 1, "chars": 2}),
        ({"input": {"messages": "abc"}}, {"chars": 3}),
        ({"input": {"prompt": ["ab"]}}, {"chars": 2}),
        ({"input": {}}, {}),
        ({"input": {"content": 5}}, None),
        ({"text": "ab"}, {"user": "ab", "messages": 1, "chars": 2}),
        ({"text": ["ab", "c"]},
         {"user": "c", "messages": 2, "chars": 3, "completions": 2}),
        ({"text": {"format": "abc"}}, {}),
        ({"contents": {"parts": [{"text": "ab"}]}}, {"user": "ab", "messages": 1, "chars": 2}),
        ({"contents": [{"parts": [{"text": "ab"}]}]}, {"user": "ab", "messages": 1, "chars": 2}),
        ({"contents": "ab"}, None),
        ({"messages": {"role": "user", "content": "ab"}}, None),
        ({"message": "ab", "chat_history": [turn("USER", "c")]},
         {"user": "ab", "messages": 2, "chars": 3}),
        ({"system": "ab"}, {"system": ["ab"], "messages": 1, "chars": 2}),
        ({"system": [{"type": "text", "text": "ab"}]},
         {"system": ["ab"], "messages": 1, "chars": 2}),
        ({"systemInstruction": {"parts": [{"text": "ab"}]}},
         {"system": ["ab"], "messages": 1, "chars": 2}),
        ({"system": {"text": "ab"}}, {"system": ["ab"], "messages": 1, "chars": 2}),
        ({"system": None, "prompt": None, "messages": None}, {}),
        ({"query": "ab", "documents": ["c", {"text": "d"}]}, {"chars": 4}),
        ({"text_1": "ab", "text_2": ["c"]}, {"chars": 3}),
        ({"prompt": "ab", "images": [PICTURE]},
         {"user": "ab", "messages": 1, "chars": 2, "media": 1}),
        # What comes of a tool that looks at a screen.
        ({"input": [{"type": "computer_call_output", "output": {"image_url": URL}}]},
         {"messages": 1, "media": 1}),
        ({"input": [{"image": PICTURE}, {"image": "https://a.test/b"}]},
         {"messages": 2, "chars": 16, "media": 1}),
        ({"nobody": "reads this"}, {}),
        ({"prompt": 5}, None),
        ({"prompt": True}, None),
    ],
)  # fmt: skip
def test_a_prompt_is_found_wherever_a_dialect_keeps_it(
    document: dict[str, Any], expected: dict[str, Any] | None
) -> None:
    if expected is None:
        with pytest.raises(Misshapen):
            read(document)
    else:
        assert counted(document) == expected


def test_of_a_body_without_a_prompt_all_text_counts_and_lists_of_tokens() -> None:
    reader = Reader(system=[])

    reader.unknown({"a": "bc", "ids": [1, 2, 3], "floats": [0.5], "none": [], "text": ["d"]})

    assert reader.chars == 2 + 12 + 1


def test_tools_count_as_they_are_written() -> None:
    reader = Reader(system=[])

    assert read_tools({"tools": [{"a": 1}, {}]}, reader) == 2
    assert reader.chars == len('[{"a":1},{}]')
    assert read_tools({"functions": [{}]}, reader) == 1
    assert read_tools({"tools": [], "functions": [{}]}, reader) == 1
    assert read_tools({}, reader) == 0
    for name in ("tools", "functions"):
        with pytest.raises(Misshapen):
            read_tools({name: {}}, reader)


@pytest.mark.parametrize("name", ["response_format", "text", "format", "prediction", "toolConfig"])
def test_the_form_of_an_answer_counts_as_it_is_written(name: str) -> None:
    reader = Reader(system=[])

    assert read_tools({name: {"schema": {"a": "told to the model"}}}, reader) == 0
    assert read_tools({name: "json"}, reader) == 0

    assert reader.chars == len('{"schema":{"a":"told to the model"}}')


@pytest.mark.parametrize(
    ("document", "completions", "chars"),
    [
        ({"text": ["ab", "c"]}, 2, 3),
        ({"inputs": ["ab", "c"]}, 2, 3),
        ({"input_ids": [[1, 2], [3]]}, 2, 12),
        ({"input_ids": [1, 2, 3]}, 1, 12),
        ({"input_ids": []}, 1, 0),
        ({"prompt_embeds": ["QUJD", "QUJD"]}, 2, 0),
        ({"prompt_embeds": "QUJD"}, 1, 0),
        # Whatever stands behind or before them.
        ({"prompt": ["a", "b"], "input": "c", "suffix": "d"}, 2, 4),
        ({"input": "c", "prompt": ["a", "b"]}, 2, 3),
        # One conversation, texts to compare, and texts of which vectors are made.
        ({"inputs": [{"role": "user", "content": "ab"}, {"role": "bot", "content": "c"}]}, 1, 3),
        ({"inputs": [["a"], ["b", "cd"]]}, 1, 16),
        ({"input": ["a", "b"]}, 1, 2),
    ],
)  # fmt: skip
def test_each_of_several_prompts_is_answered(
    document: dict[str, Any], completions: int, chars: int
) -> None:
    found, reader = read(document)

    assert (found, reader.chars) == (completions, chars)
