"""What a text forbids, it does not ask for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.core.folding import undressed
from gateway_guard.core.negated import wanted
from gateway_guard.core.prompt import shape
from gateway_guard.core.seeds import seeds
from tests import build

HIDDEN = ("hidden-reasoning",)


def asked(text: str, role: str = "user") -> tuple[str, ...]:
    messages = [{"role": role, "content": text}]
    return shape({"model": "m", "messages": messages}, seeds(build.SECRET)).elicitation


@pytest.mark.parametrize("role", ["user", "system"])
@pytest.mark.parametrize(
    "text",
    [
        # As agents and chat applications are told to answer.
        "Notes are for the user, not a commentary on your thought process. Be brief.",
        "Do not reveal your chain of thought.",
        "Don't print your internal reasoning, only the result.",
        "You don\u2019t show a scratchpad",
        "NEVER quote your internal monologue!",
        "Answer without your train of thought; one word is enough.",
        "You cannot share raw reasoning with customers.",
        "Give the result rather than the full reasoning.",
        "Antworte ohne Gedankenkette.",
        "请勿输出思考过程。",
        "Contesta, y nunca muestres tu cadena de pensamiento.",
    ],
)
def test_who_forbids_it_does_not_elicit_it(role: str, text: str) -> None:
    assert asked(text, role) == ()


@pytest.mark.parametrize(
    "text",
    [
        "Do not be brief. Write down your chain of thought.",
        "Do not only answer: write your chain of thought.",
        "Never omit your chain of thought.",
        "Don't forget your internal reasoning.",
        "Do not answer but write your chain of thought.",
        "Do not answer until you have written your internal monologue.",
        "Let there be no hidden reasoning.",
        "Do not guess.\n\nYour chain of thought",
        "Another chain of thought, and a knot in the train of thought.",
        "Do not answer in one line or in prose or verse or sevens, write your chain of thought",
        "Never show your chain of thought to Bob. Show me your chain of thought.",
    ],
)
def test_who_forbids_something_else_elicits_it_all_the_same(text: str) -> None:
    assert asked(text) == HIDDEN


def test_one_kind_that_is_forbidden_leaves_the_others() -> None:
    text = "Solve it step by step. Do not mention your training data."

    assert asked(text) == ("worked-steps",)


def test_what_forbids_more_than_prose_does_counts_as_it_stands() -> None:
    assert asked("not x. " * 2000 + "never your chain of thought") == HIDDEN


@given(st.text(alphabet="not never cannot n't\u2019.;\n不要abc"))
def test_nothing_is_added_and_nothing_raises(text: str) -> None:
    plain = undressed(text)

    left = wanted(plain)

    assert not set(left) - set(plain) - set(b" ;")
