"""Where texts are cut into fragments, and what of them makes their ends."""

from __future__ import annotations

import pytest

from gateway_guard.core.seeds import seeds
from gateway_guard.core.shapes import MOST_FRAGMENTS, fragments, role_shape
from tests.build import SECRET

KEYS = seeds(SECRET)
#: Sixteen bytes, the fewest a fragment has, none of which begins a word with th.
PIECE = b"abcdefghijklmnop"


@pytest.mark.parametrize("cuts", [0, 1, 2, 3, 5, 9])
def test_a_text_is_cut_where_words_begin_with_th(cuts: int) -> None:
    pieces = [PIECE + b"%d" % number for number in range(cuts + 1)]

    assert len(fragments(b" th".join(pieces), KEYS)) == cuts + 1


@pytest.mark.parametrize("cuts", [4, 9])
def test_a_text_that_is_not_ascii_is_cut_there_too_where_it_has_such_words(cuts: int) -> None:
    pieces = [PIECE + "é%d".encode() % number for number in range(cuts + 1)]

    assert len(fragments(b" th".join(pieces), KEYS)) == cuts + 1


def test_a_script_without_such_words_is_cut_at_a_letter() -> None:
    # U+0404 ends with the byte 0x84.
    text = "Є".join("абвгдежз" + str(number) for number in range(6)).encode()

    assert len(fragments(text, KEYS)) == 6


def test_an_equal_passage_gives_equal_fragments_wherever_it_stands() -> None:
    passage = b" th".join(PIECE + b"%d" % number for number in range(4))

    alone = set(fragments(b"first some words here th" + passage, KEYS))
    other = set(fragments(b"altogether other words stand th" + passage + b" thus it ends", KEYS))

    assert len(alone & other) >= 3


def test_pieces_shorter_than_sixteen_bytes_are_none_and_there_are_64_at_most() -> None:
    assert fragments(PIECE[:15], KEYS) == ()
    assert len(fragments(PIECE, KEYS)) == 1
    many = b" th".join(PIECE + b"%03d" % number for number in range(200))
    assert len(fragments(many, KEYS)) == MOST_FRAGMENTS


def ends(text: str) -> tuple[int, int]:
    shape, _ = role_shape("user", text.encode(), len(text), KEYS)
    return shape.head, shape.tail


def test_eight_words_make_a_head_and_eight_a_tail() -> None:
    eight = "one two six ten red blue green grey"

    assert ends(eight)[0] == ends(f"{eight} and more")[0] != 0
    assert ends(eight)[1] == ends(f"and more {eight}")[1] != 0
    assert ends(eight)[0] != ends(eight.replace("grey", "gray"))[0]
    assert ends("one two six ten red blue green") == (0, 0)


def test_of_a_script_without_spaces_48_bytes_make_an_end() -> None:
    text = "漢" * 80

    head, tail = ends(text)

    # Three bytes a letter, the last of which differs: the sixteenth is the last that counts.
    assert head == ends(text[:16] + "漣" + text[17:])[0] != 0
    assert head != ends(text[:15] + "漣" + text[16:])[0]
    assert tail == ends(text[:-17] + "漣" + text[-16:])[1] != 0
    assert tail != ends(text[:-16] + "漣" + text[-15:])[1]
