"""What the guard keeps of a prompt: lengths, digests and counts, and no text unless asked to."""

from __future__ import annotations

import msgspec


class RoleShape(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Digests of one role's text in a prompt; equal templates give equal digests.

    Attributes:
        role: `system`, `user` or `tool`.
        head: 64-bit keyed digest of the first words, digits masked (DETECTION T1); 0 if too short.
        tail: the same of the last words.
        skeleton: 64-bit keyed digest of the text with quoted, numeric and variable parts masked.
        chars: length of the text, in characters.
    """

    role: str
    head: int
    tail: int
    skeleton: int
    chars: int


class PromptShape(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the guard keeps of a prompt: lengths, digests and counts, and no text unless asked to.

    Attributes:
        messages: number of messages, system prompt included.
        chars: total characters of text over all roles.
        roles: one `RoleShape` for the system text and one for the *last* user text, where present.
        shingles: 64-bit keyed digests of fragments (three to eight words, cut at words of a given
            beginning) of the last user text's first 1,000 and last 400 characters, at most 64.
        elicitation: names of elicitation categories seen (see `signals.reasoning_elicit`).
        phrases: the policy's own phrases (`when: { prompt: … }`) found in any text, lower case.
        input_tokens: estimated input tokens, >= 0.
        max_output_tokens: the cap the client asked for; None when it did not.
        assumed_output_tokens: tokens reckoned with when there is no cap, >= 1.
        n: number of completions asked for, >= 1.
        batch: requests in a batch, >= 1, `max_output_tokens` then being that of all together; 0
            when the body is none. One that is worked on in the background is a batch of one.
        logprobs: whether token probabilities were asked for.
        tools: number of tools offered.
        stream: whether the client asked for a stream.
        include_usage: whether the client itself asked for usage in the stream (OpenAI).
        sample: how the last user text begins, at most 400 characters; None unless the policy says
            `keep_samples`. Must not be logged or stored.
    """

    messages: int = 0
    chars: int = 0
    roles: tuple[RoleShape, ...] = ()
    shingles: tuple[int, ...] = ()
    elicitation: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    input_tokens: int = 0
    max_output_tokens: int | None = None
    assumed_output_tokens: int = 1024
    n: int = 1
    batch: int = 0
    logprobs: bool = False
    tools: int = 0
    stream: bool = False
    include_usage: bool = False
    sample: str | None = None
