"""What the guard keeps of a prompt."""

from __future__ import annotations

import json
import timeit
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.core.folding import (
    _AS_WRITTEN,
    _END,
    _LOOKALIKES,
    _TABLE,
    _WESTERN,
    fold,
    squeeze,
)
from gateway_guard.core.members import Misshapen, model_of
from gateway_guard.core.phrases import Phrases
from gateway_guard.core.prompt import shape
from gateway_guard.core.seeds import seeds
from gateway_guard.core.shapes import MOST_FRAGMENTS, agent
from gateway_guard.core.texts import texts_and_files
from gateway_guard.types import PromptShape, RoleShape
from tests.build import SECRET
from tests.costs import within

KEYS = seeds(SECRET)
MARK = "DENYME-7f3a"
PHRASES = Phrases([(MARK.lower(), MARK.lower()), ("do not tell", "do not tell")])


def user(text: Any, **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], **more}


def look(document: dict[str, Any]) -> PromptShape:
    return shape(document, KEYS, PHRASES)


def role(document: dict[str, Any], name: str = "user") -> RoleShape:
    return next(one for one in look(document).roles if one.role == name)


HIDDEN = [
    user(MARK), user("please " + MARK + " now"), user(MARK.lower()), user(MARK.upper()),
    user([{"type": "text", "text": MARK}]),
    user([{"type": "input_text", "text": MARK}]),
    user([MARK]),
    user([{"type": "text", "text": MARK[:6]}, {"type": "text", "text": MARK[6:]}]),
    {"messages": [{"role": "user", "content": MARK[:6]}, {"role": "user", "content": MARK[6:]}]},
    {"messages": [{"role": "user", "content": MARK}, {"role": "assistant", "content": "no"},
                  {"role": "user", "content": "go on"}]},
    {"messages": [{"role": "system", "content": MARK}, {"role": "user", "content": "go"}]},
    {"messages": [{"role": "developer", "content": MARK}]},
    {"messages": [{"role": "tool", "tool_call_id": "1", "content": MARK}]},
    {"messages": [{"role": "user", "name": MARK, "content": "x"}]},
    {"messages": [{"role": "assistant", "content": None, "tool_calls": [
        {"function": {"name": "f", "arguments": MARK}}]}]},
    user([{"type": "tool_result", "content": [{"type": "text", "text": MARK}]}]),
    user([{"type": "document", "source": {"type": "text", "data": MARK}}]),
    user("hi", system=MARK), user("hi", system=[{"type": "text", "text": MARK}]),
    user("hi", tools=[{"type": "function", "function": {"name": "f", "description": MARK}}]),
    {"model": "m", "input": MARK}, {"model": "m", "input": [{"role": "user", "content": MARK}]},
    {"model": "m", "input": [{"type": "function_call_output", "output": MARK}]},
    {"model": "m", "instructions": MARK, "input": "hi"},
    {"prompt": {"id": "p", "variables": {"a": MARK}}},
    {"model": "m", "prompt": MARK}, {"model": "m", "prompt": ["hi", MARK]},
    {"model": "m", "prompt": "hi", "suffix": MARK},
    {"contents": [{"role": "user", "parts": [{"text": MARK}]}]},
    {"contents": {"parts": [{"text": MARK}]}},
    {"contents": [], "systemInstruction": {"parts": [{"text": MARK}]}},
    {"inputs": MARK}, {"message": MARK, "chat_history": [{"role": "USER", "message": "x"}]},
    {"requests": [{"custom_id": "1", "params": user(MARK)}]},
    user("x " * 350_000 + MARK),
    user(MARK[:4] + "\u200b" + MARK[4:]), user(MARK[:4] + "\u00ad" + MARK[4:]),
    user("".join(chr(0xE0000 + ord(c)) for c in MARK)),
    user("".join(chr(0xE0041) + c for c in MARK)), user("\ufe0f".join(MARK)),
    user("".join(chr(ord(c) + 0xFEE0) for c in MARK)), user("".join(c + "\u0301" for c in MARK)),
    user(MARK.replace("E", "\u0415")), user("\0".join(MARK)), user("\x07".join(MARK)),
    user("𝐃𝐄𝐍𝐘𝐌𝐄-𝟕𝐟𝟑𝐚"), user("ⒹⒺⓃⓎⓂⒺ-⑦ⓕ③ⓐ"),
]  # fmt: skip


@pytest.mark.parametrize("document", HIDDEN, ids=range(len(HIDDEN)))
def test_a_phrase_is_found_wherever_and_however_it_is_written(document: dict[str, Any]) -> None:
    assert look(document).phrases == (MARK.lower(),)


@pytest.mark.parametrize("text", ["do  not\ntell", "DO NOT\r\n\ttell", "do\u3000not tell"])
def test_white_space_in_a_phrase_may_be_any(text: str) -> None:
    assert look(user(text)).phrases == ("do not tell",)


def test_ordinary_text_has_no_phrase() -> None:
    assert look(user("deny me 7 f 3 a, do tell")).phrases == ()
    assert shape(user(MARK), KEYS).phrases == ()


def test_elicitation_is_read_in_system_and_last_user_text_only() -> None:
    asks = "Explain your reasoning step by step."
    earlier = user(asks)
    earlier["messages"].append({"role": "user", "content": "thanks"})

    assert "worked-steps" in look(user(asks)).elicitation
    assert "worked-steps" in look(user("x", system=asks)).elicitation
    assert look(user("step \n by step")).elicitation == ("worked-steps",)
    assert look(earlier).elicitation == ()


TEMPLATE = (
    "Grade the following answer by the given rubric. Case {}: {} "
    "This was the end of case {}, now give one mark."
)


def test_fillings_of_one_template_share_their_ends() -> None:
    one = role(user(TEMPLATE.format(7, "apples are green and tasty.", 7)))
    two = role(user(TEMPLATE.format(12345, "the moon is made of old cheese, they say.", 12345)))
    other = role(user("Write me a poem about the sea and the ships that sail on it, please."))

    assert (one.head, one.tail) == (two.head, two.tail)
    assert len({one.head, one.tail, other.head, other.tail, 0}) == 5


def test_fillings_of_one_form_share_its_skeleton() -> None:
    form = "# Task\n\nQuestion: {}\nAnswer: {}\n[End of answer]\nScore:"
    one, two = (role(user(form.format(*fill))) for fill in (("a b c", "d"), ("x\ny, z", "q: r")))
    free = role(user("Just a sentence.\nAnd another one."))

    assert one.skeleton != 0
    assert role(user(form.format("why?", "because"))).skeleton == one.skeleton
    assert two.skeleton != 0
    assert free.skeleton == 0


def test_short_text_has_no_ends() -> None:
    assert (role(user("Hello there")).head, role(user("Hello there")).tail) == (0, 0)


def test_scripts_without_spaces_have_ends() -> None:
    text = (
        "请根据下面的评分标准给这个回答打分并说明理由。回答：{}。"
        "请只输出一个从一到十的整数作为最终的分数。"
    )

    one, two = role(user(text.format("苹果"))), role(user(text.format("月亮是奶酪做的")))

    assert one.head == two.head != 0
    assert one.tail == two.tail != 0


def test_digests_are_keyed() -> None:
    document = user(TEMPLATE.format(1, "x", 1))

    theirs = shape(document, seeds(b"another secret of 32 bytes here!"))

    assert theirs.roles[0].head != look(document).roles[0].head
    assert not set(theirs.shingles) & set(look(document).shingles)


def test_shared_passages_share_fragments() -> None:
    passage = " ".join(f"the thing that takes part number {n} to the table" for n in "abcdefgh")

    one = set(look(user("Some words before. " + passage)).shingles)
    two = set(look(user("Quite another start, longer than the first. " + passage)).shingles)

    assert len(one & two) >= 0.7 * len(one) > 5


def test_fragments_are_few() -> None:
    assert (
        len(look(user(" ".join(f"t{n} and some more words" for n in range(9999)))).shingles)
        <= MOST_FRAGMENTS
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {"n": 1, "logprobs": False, "max_output_tokens": None, "stream": False, "tools": 0}),
        ({"n": 4}, {"n": 4}),
        ({"n": 4.0}, {"n": 4}),
        ({"n": None}, {"n": 1}),
        ({"n": 2, "best_of": 5}, {"n": 5}),
        ({"n": 10**30}, {"n": 4096}),
        ({"max_tokens": 7}, {"max_output_tokens": 7}),
        ({"max_tokens": 7, "max_completion_tokens": 9}, {"max_output_tokens": 9}),
        ({"max_output_tokens": 0}, {"max_output_tokens": 0}),
        ({"options": {"num_predict": 5}}, {"max_output_tokens": 5}),
        ({"options": {"num_predict": -1}}, {"max_output_tokens": None}),
        ({"generationConfig": {"maxOutputTokens": 5}}, {"max_output_tokens": 5}),
        ({"generationConfig": {"candidateCount": 3}}, {"n": 3}),
        ({"logprobs": True}, {"logprobs": True}),
        ({"logprobs": False}, {"logprobs": False}),
        ({"logprobs": 0}, {"logprobs": True}),
        ({"top_logprobs": 5}, {"logprobs": True}),
        ({"include": ["message.output_text.logprobs"]}, {"logprobs": True}),
        ({"generationConfig": {"responseLogprobs": True}}, {"logprobs": True}),
        ({"stream": True}, {"stream": True, "include_usage": False}),
        ({"stream": True, "stream_options": {"include_usage": True}}, {"include_usage": True}),
        ({"stream_options": {"include_usage": False}}, {"include_usage": False}),
        ({"stream_options": None}, {"include_usage": False}),
        ({"tools": [{}, {}]}, {"tools": 2}),
        ({"tools": [{"n": 1 << 70}]}, {"tools": 1}),
        ({"functions": [{}]}, {"tools": 1}),
        ({"system": "s"}, {"messages": 2}),
        # A chat beside a batch: either may be what is read.
        ({"requests": [{"params": {"max_tokens": 5}}] * 3}, {"max_output_tokens": 15 + 1024}),
        ({"requests": {"a": 1}, "max_tokens": 5}, {"batch": 0, "max_output_tokens": 5}),
        ({"requests": [], "max_tokens": 5}, {"batch": 0, "max_output_tokens": 5}),
    ],
)  # fmt: skip
def test_counts_are_read(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    found = look(user("hi", **fields))

    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize(
    "document",
    [
        user(5), user({"a": 1}) | {"n": "5"}, user([5]), user("x", n="5"), user("x", n=-1),
        user("x", n=1.5), user("x", n=True), user("x", max_tokens="9"),
        user("x", extra_body={"Model": "other"}), user("x", extra_body={"n_probs": 9}),
        user("x", max_tokens=[1]), user("x", stream="true"), user("x", stream=1),
        user("x", logprobs="yes"), user("x", stream_options=[]), user("x", tools={}),
        user("x", system=5), user("x", Messages=[]), user("x", MODEL="y"),
        user("x") | {"\u017fystem": "y"},
        user("x", options=[]), user("x", requests=[1]), user("x", requests=[{"params": {"N": 2}}]),
        {"messages": {}}, {"messages": "x"}, {"messages": [1]}, {"messages": [[]]},
        {"messages": [{"role": 5, "content": "x"}]}, {"prompt": 5}, {"input": 5},
        {"messages": [{"role": "user", "Content": "x"}]},
        {"messages": [{"role": "user", "content": "x", "Content": "y"}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "Text": "x"}]}]},
    ],
    ids=lambda document: json.dumps(document)[:60],
)  # fmt: skip
def test_members_no_two_upstreams_read_alike_are_misshapen(document: dict[str, Any]) -> None:
    with pytest.raises(Misshapen):
        look(document)


def test_the_model_is_a_name() -> None:
    assert model_of({"model": "m"}) == "m"
    assert model_of({}) is None
    for model in (5, ["m"], "x" * 300, "a\nb", {"id": "m"}):
        with pytest.raises(Misshapen):
            model_of({"model": model})


def test_input_is_estimated_by_script_and_kind() -> None:
    english = look(user("word " * 200)).input_tokens
    chinese = look(user("词" * 200)).input_tokens
    picture = look(user([{"type": "image_url", "image_url": {"url": "data:" + "A" * 100_000}}]))

    assert 200 <= english <= 300
    assert 180 <= chinese <= 300
    assert 1000 <= picture.input_tokens <= 1100
    assert look({"prompt": [1, 2, 3] * 100}).input_tokens >= 300
    assert look({"prompt": [[1, 2], [3]], "n": 2}).n == 4
    assert look({"input": ["a", "b"]}).n == 1


def test_system_texts_are_remembered_by_digest_only_and_not_for_ever() -> None:
    from gateway_guard.core import prompt as module

    again = [role(user("x", system=TEMPLATE.format(1, "xyzzy", 1)), "system") for _ in range(2)]
    other = shape(user("x", system=TEMPLATE.format(1, "xyzzy", 1)), seeds(b"s" * 32)).roles[0]
    for number in range(module._MOST_SYSTEMS + 10):
        look(user("x", system=f"system {number}"))

    assert again[0] == again[1] != other
    assert "xyzzy" not in repr(module._systems)
    assert len(module._systems) <= module._MOST_SYSTEMS


def test_odd_part_types_are_no_error() -> None:
    assert look(user([{"type": []}, {"type": {}, "source": []}, {"text": 5}])).messages == 1


def test_nothing_of_the_text_is_kept() -> None:
    assert "xyzzy" not in repr(look(user("xyzzy " * 30, system="xyzzy xyzzy")))


def test_user_agents_differ_by_more_than_version() -> None:
    assert (
        agent(b"OpenAI/Python 1.58.0", KEYS.agent)
        == agent(b"OpenAI/Python 1.9.12", KEYS.agent)
        != 0
    )
    assert agent(b"OpenAI/Python 1.58.0", KEYS.agent) != agent(b"OpenAI/JS 1.58.0", KEYS.agent)
    assert agent(b"", KEYS.agent) == 0


@pytest.mark.parametrize(
    "text",
    ["a" * 900_000, " " * 400_000 + "x", "<a " * 100_000, "step by step " * 70_000, "../" * 200_000,
     "\u200b" * 100_000, "e" + "\u0301" * 140_000, "e" + "\u0301\u0323" * 140_000,
     "\ufdfa" * 333_000, "词" * 300_000, ":" * 900_000, "\n#" * 300_000, "\n:" * 300_000],
    ids=lambda text: ascii(text)[:20],
)  # fmt: skip
def test_no_megabyte_takes_a_second(text: str) -> None:
    look(user("warm"))

    within(1.0, lambda: look(user(text)))


@pytest.mark.parametrize(
    "text",
    ["\ufdfa" * 333_000, "\ufdfb" * 333_000, "\u3316" * 333_000, "½" * 500_000,
     "e" + "\u0301\u0323" * 250_000, "ąaaaaaa" * 125_000, "\u2014" + "ąaaaaaaaaaaa" * 77_000,
     "\U000e0041" * 250_000, "".join(map(chr, range(0x100, 0xD800))) * 6,
     "".join(map(chr, range(0x20000, 0x60000)))],
    ids=lambda text: ascii(text)[:20],
)  # fmt: skip
def test_folding_a_hostile_megabyte_is_linear_and_expands_little(text: str) -> None:
    size = len(text.encode())

    # 25 to 35 ms on a quiet machine.
    folded = within(1.0, lambda: fold(text))

    assert len(folded) <= 6 * size


ORDINARY = {
    "german": "Bitte prüfe die Überschriften für größere Städte und „Gänsefüßchen“ – heute. " * 26,
    "chinese": "请根据下面的评分标准给这个回答打分，并说明理由。" * 28,
    "emoji": "all good 🎉 and well 👍 then go 🚀 home now " * 44,
    "english": "It’s the “usual” word processor’s text — with its own marks… " * 32,
}


@pytest.mark.parametrize("language", ORDINARY)
def test_two_kilobytes_of_ordinary_text_fold_in_no_time(language: str) -> None:
    text = ORDINARY[language]
    fold(text)

    best = min(timeit.repeat(lambda: fold(text), number=20, repeat=5)) / 20

    # 10 to 30 µs on a quiet machine; folding by regular expressions took up to 500.
    assert best < 250e-6


def test_a_phrase_is_found_among_much_other_text() -> None:
    for filler in ("词", "ﷺ", "é", "ą b ", "—“”"):
        for mark in ("DENYME-7f3a", "ＤＥＮＹＭＥ－７ｆ３ａ", "D\u0301E\u200bNYME-7f3a"):
            text = filler * 20_000 + mark + filler * 20_000

            assert PHRASES.find(fold(text)) == ("denyme-7f3a",), (filler, mark)


def test_tables_for_western_text_change_nothing() -> None:
    # The same text, with and without so many foreign letters that the other way is taken.
    foreign = "词" * 400
    for char in _WESTERN + "ąłж词\U0001f600\x85\x9f":
        text = f"start {char} of {char}{char} it"

        assert fold(text + foreign) == fold(text) + fold(foreign), ascii(char)


def form(char: str) -> str:
    """What one character folds to, said as plainly as possible."""

    code = ord(char)

    def hides(char: str) -> bool:
        kind = unicodedata.category(char)
        filler = char in "\u115f\u1160\u3164\uffa0\ufffc\u2065"
        never_shown = (
            "\x80" <= char < "\xa0" or "\ufdd0" <= char < "\ufdf0" or ("\ufff0" <= char < "\ufff9")
        )
        return char >= "\x80" and (
            kind in ("Mn", "Me", "Cf", "Co") or unicodedata.combining(char) != 0
            or filler or never_shown
        )  # fmt: skip

    if char in "\x85\u1680\u2028\u2029\u2800":
        return " "
    for first in (0x249C, 0x1F110, 0x1F150, 0x1F170, 0x1F1E6):
        if first <= code < first + 26:
            return chr(ord("a") + code - first)
    plain = unicodedata.normalize("NFKD", char.translate(_AS_WRITTEN)).translate(_AS_WRITTEN)
    if hides(char) or len(plain) > 4:
        return "" if hides(char) else char
    return "".join(one for one in plain.casefold() if not hides(one)).translate(_LOOKALIKES)


def test_the_table_holds_every_character_as_its_own_definition_has_it() -> None:
    wrong = [
        hex(code)
        for code in range(0x80, _END)
        if unicodedata.category(chr(code)) != "Cs"
        and chr(code).translate(_TABLE) != form(chr(code))
    ]

    assert wrong == []


def test_characters_beyond_the_table_are_themselves_compatible_or_hidden() -> None:
    assert fold("\U00020000\U0002f800") == "\U00020000\u4e3d".encode()
    assert fold("a\U000e0000b\U000e01efc") == b"abc"
    assert fold("a" + "".join(chr(0xE0000 + byte) for byte in b"Hi!")) == b"a hi!"
    assert fold("a" + "".join(chr(0xE0100 + byte - 16) for byte in b"Hi!")).split() == [
        b"a", b"hi!"
    ]  # fmt: skip


def test_a_plain_chat_is_read_like_any_other() -> None:
    chat = {
        "model": "m", "max_tokens": 7, "stream": True, "temperature": 0.5,
        "messages": [
            {"role": "system", "content": "Be kind: ä."}, {"role": "user", "content": "one"},
            {"role": "assistant", "content": "two"}, {"role": "user", "content": ""},
        ],
    }  # fmt: skip

    assert look(chat) == look(chat | {"tools": None})


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["messages", "content", "role", "parts", "text", "type", "prompt", "input", "system",
             "n", "tools", "requests", "params", "options", "contents", "source", "stream"]
        ), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(
    ["messages", "contents", "prompt", "input", "system", "tools", "requests", "n", "options",
     "stream_options", "instructions", "logprobs", "max_tokens", "message", "inputs", "functions"]),
    anything, max_size=5))  # fmt: skip
def test_no_document_makes_it_raise_anything_else(document: dict[str, Any]) -> None:
    try:
        found = look(document)
    except Misshapen:
        return
    assert found.input_tokens > 0
    assert found.n >= 1


@given(st.text(max_size=60))
def test_folding_is_stable(text: str) -> None:
    once = fold(text)

    assert fold(once.decode()) == once
    assert squeeze(text) == squeeze(once.decode()) == squeeze(squeeze(text).decode())


def test_texts_come_in_document_order() -> None:
    document = {"a": "1", "role": "x", "b": ["2", {"c": "3"}], "d": 4}

    assert texts_and_files(document) == (["1", "2", "3"], 0)


@pytest.mark.parametrize("later", ["background", "deferred"])
def test_what_is_worked_on_after_the_answer_is_a_batch_of_one(later: str) -> None:
    assert look(user("x", **{later: True})).batch == 1
    assert look(user("x", **{later: False})).batch == 0


def test_what_a_gateway_puts_over_the_body_may_decide_nothing_else() -> None:
    assert look(user("x", extra_body={"guided_regex": "a", "top_k": 5})).messages == 1
    assert look(user("x", extra_body=None)).messages == 1
