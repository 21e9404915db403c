"""A body with less in it: no more than was allowed, every other member as CPython reads it from the
original, and reading as full as before."""

from __future__ import annotations

import json
from typing import Any, Final

from gateway_guard.core import body as bodies
from gateway_guard.core.rewrite import rewrite
from gateway_guard.types import Dialect, Inspection, Restrictions
from tests.fuzz.taken import Taken
from tests.fuzz.targets.prompt_reader import PATHS, seen
from tests.fuzz.targets.prompt_reader import WORDS as PROMPT_WORDS

WORDS = (
    *PROMPT_WORDS, b'"logprobs":true', b'"top_logprobs":5', b'"best_of":4', b'"max_tokens":1e9',
)  # fmt: skip
_DIALECTS: Final = tuple(Dialect)
_LESS: Final = Restrictions(max_output_tokens=16, logprobs=False, n=1)
#: Members that rewriting may touch, at the top.
_TOUCHED: Final = frozenset((
    "max_tokens", "max_completion_tokens", "max_output_tokens", "max_tokens_to_sample", "n_predict",
    "n", "best_of", "logprobs", "top_logprobs", "prompt_logprobs", "include", "stream_options",
    "generationConfig", "generation_config", "sampling_params", "options", "inferenceConfig",
    "parameters", "requests", "prompt_logprobs",
))  # fmt: skip


def target(data: bytes) -> None:
    """Which path, which dialect, then a body."""
    taken = Taken(data)
    path, dialect, force = taken.pick(PATHS), taken.pick(_DIALECTS), bool(taken.byte() & 1)
    body = taken.rest()
    request = seen(path, body)
    if request.inspection is not Inspection.FULL:
        return

    same = rewrite(body, [], dialect, restrictions=None, force_usage=False)
    less = rewrite(
        body, [], dialect, restrictions=_LESS, force_usage=force, path=path.decode("ascii")
    )

    assert same == body
    before: dict[str, Any] = json.loads(body)
    after = bodies.parse(less)
    assert isinstance(after, dict), (body, less)
    for name in set(before) | set(after):
        if name not in _TOUCHED:
            assert repr(before.get(name)) == repr(after.get(name)), (name, body, less)
    again = seen(path, less)
    assert again.inspection is Inspection.FULL, (body, less)
    assert again.model == request.model
    shape = again.prompt
    assert shape is not None
    if not shape.batch:
        assert shape.max_output_tokens is None or shape.max_output_tokens <= 16, (body, less)
        assert not shape.logprobs, (body, less)
    if force and dialect is Dialect.OPENAI and before.get("stream") is True:
        told = "messages" in before or "prompt" in before
        assert shape.include_usage or not told, (body, less)
    # Twice is once.
    assert (
        rewrite(less, [], dialect, restrictions=_LESS, force_usage=force, path=path.decode("ascii"))
        == less
    )
