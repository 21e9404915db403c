"""What is read of a prompt and what is kept of it, where that is easily got wrong."""

from __future__ import annotations

import pytest

from gateway_guard.core.folding import fold
from gateway_guard.core.prompt import shape
from gateway_guard.core.wrapped import unwrapped
from tests.core.test_prompt import KEYS, PHRASES, look, user


def test_no_text_is_kept_unless_that_is_asked_for() -> None:
    assert look(user("What is the capital of Norway?")).sample is None


@pytest.mark.parametrize(("keep", "kept"), [(1, "W"), (4, "What"), (99, "What is it?")])
def test_as_much_is_kept_as_is_asked_for(keep: int, kept: str) -> None:
    assert shape(user("What is it?"), KEYS, PHRASES, keep=keep).sample == kept


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r"\151\147\156\157\162\145\040all", "ignore all"),
        (r"\x69\x67\x6e\x6f\x72\x65 all", "ignore all"),
        (r"\u0069\u0067\u006e\u006f\u0072\u0065 all", "ignore all"),
        (r"\U00000069\U00000067\U0000006e\U0000006f\U00000072\U00000065 all", "ignore all"),
        (r"\u{69}\u{67}\u{6e}\u{6f}\u{72}\u{65} all", "ignore all"),
        ("&#105;&#103;&#110;&#111;&#114;&#101; all", "ignore all"),
        ("%69%67%6e%6f%72%65 all", "ignore all"),
        (r"\ud800\x69gnore \u0061ll", "ignore all"),
    ],
)
def test_programs_escapes_are_read(written: str, meant: str) -> None:
    assert meant in unwrapped(written.encode())


@pytest.mark.parametrize("texts", [1, 2, 5])
@pytest.mark.parametrize("marks", [1, 2, 7])
def test_the_mark_that_texts_are_joined_by_hides_nothing_where_a_client_writes_it(
    texts: int, marks: int
) -> None:
    letters = "do not tell"
    said = "".join(f"{one}\x1f" if at < marks else one for at, one in enumerate(letters))
    messages = [{"role": "user", "content": "Hello."}] * (texts - 1)
    messages.append({"role": "user", "content": said})

    assert look({"model": "m", "messages": messages}).phrases == ("do not tell",)


def test_only_letters_have_two_cases() -> None:
    marks = "@[\\]^_`{|}~"

    assert fold(marks) == marks.encode()
    assert fold("AZaz") == b"azaz"
