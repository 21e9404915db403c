"""Whether a secret looks as if somebody made it up. Pure.

Digests of keys, names and addresses protect those only as long as nobody finds the secret: whoever
has a log and one account's key tries guesses by themselves, unseen, millions in a second.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

#: Fewest different bytes. 16 random hex digits have as few once in 90 times, 32 once in 10^7.
_FEWEST: Final = 8
#: What stands in examples, for somebody to put a secret in its place. Lower case.
_PLACEHOLDERS: Final = (
    b"changeme", b"change-me", b"change_me", b"replaceme", b"replace-me", b"replace_me",
    b"password", b"passw0rd", b"letmein", b"example", b"placeholder", b"your-secret",
    b"your_secret", b"yoursecret", b"qwertz", b"qwerty",
)  # fmt: skip


def guessable(secret: bytes) -> str | None:
    """Why `secret` is one that can be guessed, in words that do not quote it; None where nothing
    says so. That proves nothing: a sentence out of a book looks as good as what is random.
    """
    if len(set(secret)) < _FEWEST:
        return f"it has fewer than {_FEWEST} different characters"
    if secret in (secret + secret)[1:-1]:
        return "it repeats a shorter one"
    steps = [later - one for one, later in pairwise(secret)]
    if sum(step in (-1, 0, 1) for step in steps) > len(steps) // 2:
        return "its characters follow one another"
    lower = secret.lower()
    if any(word in lower for word in _PLACEHOLDERS):
        return "it is what examples have in the place of one"
    return None
