"""How far texts are looked into: windows, words, labels, phrases, and the work they may cost."""

from __future__ import annotations

from typing import Any

import pytest

from gateway_guard.core import prompt
from gateway_guard.core.folding import fold, squeeze
from gateway_guard.core.members import Misshapen
from gateway_guard.core.phrases import Phrases
from gateway_guard.core.prompt import elicitation, shape
from gateway_guard.core.seeds import seeds
from gateway_guard.core.shapes import agent, fragments, role_shape
from gateway_guard.core.texts import phrases_in, strings_and_kinds, texts_and_files
from gateway_guard.types import PromptShape, RoleShape
from tests.build import SECRET

KEYS = seeds(SECRET)
CAPITAL = Phrases([("the capital of norway", "capital")])


def looked_at(text: str) -> bytes:
    return role_shape("user", text.encode(), len(text), KEYS)[1]


def shaped(text: str) -> RoleShape:
    return role_shape("user", text.encode(), len(text), KEYS)[0]


@pytest.mark.parametrize("letter", ["a", "ж"])
def test_the_first_thousand_and_the_last_four_hundred_characters_are_looked_at(letter: str) -> None:
    whole = letter * 1400
    longer = letter * 1000 + "!" + letter * 400
    ends = "q" + letter * 998 + "r" + letter * 600 + "s" + letter * 398 + "t"

    assert looked_at(whole).decode() == whole
    assert looked_at(longer).decode() == letter * 1000 + "\n" + letter * 400
    assert looked_at(ends).decode() == (
        "q" + letter * 998 + "r\ns" + letter * 398 + "t"
    )  # fmt: skip


def test_case_digits_and_blanks_are_masked_and_line_feeds_are_not() -> None:
    assert looked_at("AbZ  @[0 9\t\r\v\f\n\x00\x1f\x7f.") == b"abz @[0 0 \n."


def test_eight_words_within_160_characters_make_an_end() -> None:
    seven, eight = "one two three four five six seven", "one two three four five six seven eight"

    assert (shaped(seven).head, shaped(seven).tail) == (0, 0)
    assert shaped(eight).head != 0
    assert shaped(eight + " nine").head == shaped(eight).head
    assert shaped("zero " + eight).tail == shaped(eight).tail

    # The eighth word ends with character 160, or is cut there.
    def ended(size: int, last: str) -> RoleShape:
        return shaped("w " * 7 + "x" * (size - 14) + last + " " + "and so on " * 30)

    assert ended(160, "").head != ended(159, "y").head
    assert ended(160, "y").head == ended(160, "z").head


@pytest.mark.parametrize(("words", "has"), [(1, True), (3, True), (4, False), (7, False)])
def test_a_script_without_spaces_has_fewer_than_four_words(words: int, has: bool) -> None:
    text = " ".join(["ж" * 5] * words) + "ж" * 80

    assert (shaped(text).head != 0) is has


@pytest.mark.parametrize(("chars", "has"), [(39, False), (40, True)])
def test_and_eighty_bytes(chars: int, has: bool) -> None:
    assert (shaped("ж" * chars).head != 0) is has
    assert shaped("a" * 400).head == 0


def test_numbers_of_any_length_look_alike_in_ends_and_skeletons() -> None:
    text = "write {} words on the history of small towns in order"
    form = "Task: {}\nAge: {}\n"

    assert shaped(text.format(7)).head == shaped(text.format(7_000)).head
    assert shaped(form.format(7, 8)).skeleton == shaped(form.format(70, 800)).skeleton
    assert shaped(f"{form}x: 1\n").skeleton != shaped(f"{form}y: 1\n").skeleton


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("a: b", False), ("a: b\nc: d", True), ("a: b c: d", True), ("# a\n# b", True),
        ("# a", False), ("# a\nb: c", True), ("[a]\n[b]", True), ("<a>\n<b>", True),
        ("a # b # c", False), ("no labels at all", False), ("x" * 32 + ": a\nb: c", True),
        ("x" * 33 + ": a\nb: c", False),
    ],
)  # fmt: skip
def test_a_form_has_two_labels_or_headings_at_least(text: str, has: bool) -> None:
    assert (shaped(text).skeleton != 0) is has


def test_a_skeleton_is_labels_and_the_first_32_bytes_of_headings() -> None:
    assert shaped("a: 1\nb: 2").skeleton == shaped("a: 9 8\nb: xyz").skeleton
    assert shaped("a: 1\nb: 2").skeleton != shaped("a: 1\nc: 2").skeleton
    # What follows the last colon is no label.
    assert shaped("a: 1\nb: c").skeleton == shaped("a: 1\nb: d").skeleton
    head = "# " + "x" * 31
    assert shaped(f"{head}y\n# b").skeleton == shaped(f"{head}z\n# b").skeleton
    assert shaped(f"# {'x' * 30}y\n# b").skeleton != shaped(f"# {'x' * 30}z\n# b").skeleton
    assert shaped("# a\nsome text\n# b").skeleton == shaped("# a\nother words\n# b").skeleton
    assert shaped("# a\n[b]").skeleton != shaped("# a\n# b").skeleton


def test_twenty_four_labels_and_as_many_headings_are_looked_at() -> None:
    def labels(last: str) -> str:
        return "\n".join([*(f"l{chr(97 + n)}: x" for n in range(23)), f"{last}: x", "more: y"])

    def headings(last: str) -> str:
        return "\n".join([*(f"# h{chr(97 + n)}" for n in range(24)), f"# {last}"])

    assert shaped(labels("p")).skeleton != shaped(labels("q")).skeleton
    assert (
        shaped("extra: x\n" + labels("p")).skeleton == shaped("extra: x\n" + labels("q")).skeleton
    )
    assert shaped(headings("p")[5:]).skeleton != shaped(headings("q")[5:]).skeleton


def test_a_fragment_has_16_to_40_bytes_and_there_are_64() -> None:
    def count(window: bytes) -> int:
        return len(fragments(window, KEYS))

    assert count(b"x" * 15) == 0
    assert count(b"x" * 16) == 1
    assert fragments(b"x" * 40 + b"y", KEYS) == fragments(b"x" * 40 + b"z", KEYS)
    assert fragments(b"x" * 39 + b"y", KEYS) != fragments(b"x" * 39 + b"z", KEYS)
    pieces = [b"%016d" % number for number in range(70)]
    assert count(b" th".join(pieces[:63])) == 63
    assert count(b" th".join(pieces[:64])) == 64
    assert count(b" th".join(pieces)) == 64
    # By their digests: the same 64 whatever their order.
    assert {*fragments(b" th".join(pieces), KEYS)} == {*fragments(b" th".join(pieces[::-1]), KEYS)}


def test_an_agent_is_its_first_512_bytes_without_digits() -> None:
    assert agent(b"x" * 512 + b"y", 1) == agent(b"x" * 512 + b"z", 1)
    assert agent(b"x" * 511 + b"y", 1) != agent(b"x" * 511 + b"z", 1)
    assert agent(b"curl/8.4.0", 1) == agent(b"CURL/9.10", 1)
    assert agent(b"", 1) == 0


@pytest.mark.parametrize(
    ("phrase", "said", "found"),
    [
        ("abcdefgh", "hgfedcba", True), ("abcdefg", "gfedcba", False),
        ("abcdefgh", "nopqrstu", True), ("abcdefg", "nopqrst", False),
        # Seven letters and a digit, which rot13 leaves as it is.
        ("abcdefg1", "nopqrst1", False), ("abcdefg1", "1gfedcba", True),
    ],
)  # fmt: skip
def test_phrases_of_eight_characters_are_found_backwards_and_in_rot13(
    phrase: str, said: str, found: bool
) -> None:
    assert bool(Phrases([(phrase, "x")]).find(fold(f"well {said} well"))) is found


@pytest.mark.parametrize(
    ("phrase", "said", "found"),
    [
        ("abcdef", "a b c d e f", True), ("abcde", "a b c d e", False),
        ("abcdef", "a. b. c. d. e. f.", False), ("abcdef", "a.b.c.d.e.f", True),
        ("abcdef", "a - b - c - d - e - f", True), ("abc def", "a b c   d e f", True),
        ("abcdef", "xa b c d e f", False), ("abcdef", "a b c d e fx", False),
        ("abcdef", "a b c d e g", False), ("abcdef", "a b c d-e-f", True),
        ("abcdef", "a b c-d-e-f", False), ("åbcdef", "å b c d e f", True),
    ],
)  # fmt: skip
def test_phrases_of_six_letters_are_found_spelled_out(phrase: str, said: str, found: bool) -> None:
    spelled = Phrases([(phrase, "x")], spelled=True)

    assert bool(spelled.find(fold(f"well, {said}, well"))) is found
    assert not Phrases([(phrase, "x")]).find(fold(f"well, {said}, well"))


@pytest.mark.parametrize(("further", "found"), [(0, True), (1, False)])
def test_spelled_out_they_are_found_in_64_kibibytes_of_either_end(
    further: int, found: bool
) -> None:
    spelled = Phrases([("abcdef", "x")], spelled=True)
    said, filler = b" a b c d e f ", b"word " * 30_000
    room = 64 * 1024 - len(said) + further + 1

    assert bool(spelled.find(filler[:room] + said + filler)) is found
    assert bool(spelled.find(filler + said + filler[-room:])) is found


@pytest.mark.parametrize("said", ["d e f words a b c", "c d e f a b", "b c d e f and a"])
def test_the_end_of_a_text_is_not_put_together_with_its_beginning(said: str) -> None:
    spelled = Phrases([("abcdef", "x")], spelled=True)

    # Whether or not the first letters are spelled out somewhere, and a closer look is taken.
    assert spelled.find(fold(f"{said}")) == ()
    assert spelled.find(fold(f"{said} a b c d x x {said}")) == ()


@pytest.mark.parametrize("between", [b"a b c d", b"a.b.c.d", b"nothing"])
def test_letters_on_either_side_of_what_is_not_looked_at_are_not_put_together(
    between: bytes,
) -> None:
    spelled = Phrases([("abcdef", "x")], spelled=True)
    end = 64 * 1024
    first, last = b" a b c".rjust(end, b"w"), b"d e f ".ljust(end, b"w")

    assert spelled.find(first + b" and " + between + b" and " + last) == ()
    # Nothing is left out of as much as two ends hold.
    assert spelled.find(first[1:] + b" " + last) == ("x",)


def test_a_phrase_in_another_or_over_its_end_is_found_beside_it() -> None:
    some = Phrases([("think step by step", "a"), ("step by", "b"), ("step now", "c")])

    assert some.find(fold("Think step by step now")) == ("a", "b", "c")


def test_labels_come_once_and_sorted_and_nothing_is_found_of_nothing() -> None:
    some = Phrases([("one", "b"), ("two", "a"), ("three", "b"), ("!", "c"), ("", "d")])

    assert some.find(fold("three one two one")) == ("a", "b")
    assert some.find(b"") == ()
    assert Phrases([]).find(b"anything") == ()
    assert (Phrases([]).longest, some.longest) == (0, 5)


def words_in(*texts: str) -> tuple[str, ...]:
    return phrases_in({"messages": [{"role": "user", "content": text} for text in texts]}, CAPITAL)


def test_a_phrase_is_found_across_two_strings_and_not_across_a_third() -> None:
    assert words_in("the capital", "of norway") == ("capital",)
    assert words_in("the capi", "tal of norway") == ("capital",)
    assert words_in("the capital", "and", "of norway") == ()
    # However many strings it is in, and whatever blanks stand where they meet.
    assert words_in("the capi", "tal ", " of norway") == ("capital",)
    assert words_in("th", "e capital ", " of ", " nor", "way") == ("capital",)
    assert words_in("x" * 600 + " the capital", "of norway " + "y" * 600) == ("capital",)
    assert words_in("x" * 600 + " the capital", "of", "norway " + "y" * 600) == ("capital",)
    assert words_in("x" * 600 + " the capital " + "z" * 60, "of norway " + "y" * 600) == ()


@pytest.mark.parametrize("marks", [1, 2, 5])
def test_separators_within_texts_move_none_of_them(marks: int) -> None:
    odd = "a" + "\x1f" * marks + "b"

    assert words_in(odd, "the capital", "x" * 600, "of norway") == ()
    assert words_in("y", odd, "the capital", "of norway", "x" * 600) == ("capital",)
    assert words_in(odd, "x" * 600 + " the capital", "of norway") == ("capital",)


@pytest.mark.parametrize(
    "said",
    [
        "\x1fthe capital of norway", "a\x1f the capital of norway", "the capital\x1f of norway",
        "the cap\x1fital of norway\x1f",
    ],
)  # fmt: skip
def test_a_separator_in_the_only_short_text_hides_nothing_of_it(said: str) -> None:
    assert words_in(said) == ("capital",)
    assert words_in(said, "x" * 600) == ("capital",)
    assert words_in("x" * 600, said, "y" * 600) == ("capital",)


@pytest.mark.parametrize("role", [5, None, ["user"], {"a": 1}, True, "", "USER", "User"])
def test_a_role_that_is_none_hides_nothing(role: object) -> None:
    messages = [{"role": role, "content": "the capital"}, {"role": role, "content": "of norway"}]

    assert phrases_in({"messages": messages}, CAPITAL) == ("capital",)


@pytest.mark.parametrize("kind", [5, None, ["text"], {"a": 1}, True, "text", "input_text"])
def test_nor_does_a_type_that_is_none(kind: object) -> None:
    parts = [{"type": kind, "text": "the capital"}, {"type": "image", "text": "and"},
             {"type": kind, "text": "of norway"}]  # fmt: skip

    document = {"messages": [{"role": "user", "content": parts}]}
    assert phrases_in(document, CAPITAL) == ("capital",)


@pytest.mark.parametrize("size", [511, 512, 513])
def test_short_and_long_strings_stay_in_their_order(size: int) -> None:
    long = "the capital".rjust(size, "x")

    assert words_in("a", long, "of norway", "b") == ("capital",)
    assert words_in("of norway", long, "b") == ()


@pytest.mark.parametrize(("letter", "most"), [("a", 17 * 512 * 1024), ("词", 17 * 512 * 1024 // 8)])
def test_more_text_than_the_work_allows_is_not_read(letter: str, most: int) -> None:
    # Besides the text the roles and the names cost nothing.
    assert phrases_in({"prompt": letter * most}, CAPITAL) == ()
    with pytest.raises(Misshapen):
        phrases_in({"prompt": letter * (most + 1)}, CAPITAL)


def test_two_blanks_in_a_row_cost_four_characters_more() -> None:
    pairs = 17 * 512 * 1024 // 6

    assert phrases_in({"prompt": "  " * pairs}, CAPITAL) == ()
    with pytest.raises(Misshapen):
        phrases_in({"prompt": "  " * (pairs + 1)}, CAPITAL)


@pytest.mark.parametrize(("size", "found"), [(64, ["a"]), (65, ["a"])])
def test_a_list_of_more_than_64_numbers_is_passed_over_and_one_with_a_text_is_not(
    size: int, found: list[str]
) -> None:
    for document in ({"x": [1] * (size - 1) + ["a"]}, {"x": [[1] * size, "a"]}):
        assert texts_and_files(document)[0] == found
        assert strings_and_kinds(document)[0] == found


def kinds(document: dict[str, Any]) -> dict[str, int]:
    texts, marks = strings_and_kinds(document)
    assert len(texts) == len(marks)
    return dict(zip(texts, marks, strict=True))


def test_what_reaches_the_model_is_told_from_what_stands_by() -> None:
    document = {
        "model": "m", "user": "u",
        "messages": [
            {"role": "user", "content": "a"},
            {"role": "USER", "content": [{"type": "text", "text": "b"}]},
            {"role": "assistant", "content": "c"},
            {"role": "Pirate", "content": "d"},
            {"role": "user", "content": [{"type": "tool_result", "content": "e"}]},
            {"role": "user", "content": [{"type": "input_text", "text": "f"}, "g"]},
        ],
        "tools": [{"type": "function", "parameters": {"properties": {"p": {"description": "h"}}}}],
        "metadata": {"text": "i"},
    }  # fmt: skip

    # 3: the prompt, in the user's own turns; 1: the prompt; 0: neither.
    assert kinds(document) == {
        "u": 0, "a": 3, "b": 3, "c": 1, "d": 1, "e": 1, "f": 3, "g": 3, "h": 0, "i": 0,
        "p": 0, "Pirate": 0,
    }  # fmt: skip


def look(**document: Any) -> PromptShape:
    return shape(document, KEYS)


def test_where_nobody_says_how_much_may_be_written_1024_tokens_are_assumed() -> None:
    assert look(messages=[]).assumed_output_tokens == 1024


def estimated(**document: Any) -> int:
    return look(**document).input_tokens


def test_input_is_a_quarter_of_the_characters_and_four_a_message_and_a_thousand_a_medium() -> None:
    def turns(*texts: Any) -> list[dict[str, Any]]:
        return [{"role": "user", "content": text} for text in texts]

    assert estimated(messages=turns("x" * 40)) == 10 + 4 + 1
    assert estimated(messages=turns("x" * 43)) == 10 + 4 + 1
    assert estimated(messages=turns("x" * 40, "y" * 40)) == 20 + 8 + 1
    assert estimated(messages=turns("词" * 40)) == int(10 + 80 * 0.35 + 4) + 1
    assert estimated(messages=turns([{"type": "image_url", "image_url": {}}])) == 1000 + 4 + 1
    assert estimated(prompt=[1] * 10) == 10 + 1
    assert estimated(nobody="x" * 40) == 10 + 1


def test_phrases_of_elicitation_are_looked_for_within_32768_characters_of_either_end() -> None:
    said = "step by step"
    assert elicitation().find(squeeze(said))
    filler = "wort " * 14_000

    def found(text: str) -> bool:
        return bool(look(messages=[{"role": "user", "content": text}]).elicitation)

    room = 32 * 1024 - len(said)
    assert found(filler[:room] + said + filler)
    assert not found(filler[: room + 1] + said + filler)
    assert found(filler + said + filler[-room:])
    assert not found(filler + said + filler[-room - 1 :])


def test_a_sample_of_the_last_text_is_kept_as_it_is_where_one_is_asked_for() -> None:
    document = {"messages": [{"role": "user", "content": "Åse  said"}]}

    assert shape(document, KEYS).sample is None
    assert shape(document, KEYS, keep=4).sample == "Åse "
    assert shape(document, KEYS, keep=400).sample == "Åse  said"
    assert shape(document, KEYS, keep=4, digests=False).sample is None
    assert shape({"messages": []}, KEYS, keep=4).sample is None


def test_caps_are_counts() -> None:
    def cap(value: Any, **more: Any) -> int | None:
        return look(messages=[], max_tokens=value, **more).max_output_tokens

    for more in ({}, {"n": 1}):
        assert [cap(value, **more) for value in (1, 7.0, None)] == [1, 7, None]
        assert cap(2**31 - 1, **more) == 2**31 - 1
        assert cap(2**31, **more) == cap(2**40, **more) == 2**31
        # To LM Studio and llama.cpp that is none, and the other one to Ollama.
        assert cap(-1, **more) is cap(0, **more) is cap(0.0, **more) is None
        for wrong in (1.5, True, "1"):
            with pytest.raises(Misshapen):
                cap(wrong, **more)


@pytest.mark.skipif(not prompt.__file__.endswith(".py"), reason="compiled: nothing to patch")
def test_of_4096_system_texts_each_is_remembered_and_then_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prompt, "_systems", {})
    monkeypatch.setattr(prompt, "_MOST_SYSTEMS", 3)

    def kept(text: str) -> int:
        look(messages=[{"role": "system", "content": text}])
        return len(prompt._systems)

    assert [kept(text) for text in ("a", "b", "a", "c", "d", "a")] == [1, 2, 2, 3, 1, 2]
