"""Many requests in one body: Anthropic's, Mistral's and Gemini's batches, Vertex's instances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gateway_guard.core.caps import BATCHED, CHAT, WRITES_NOTHING
from gateway_guard.core.conversation import Reader, read_texts, read_tools
from gateway_guard.core.members import MEMBERS, MEMBERS_FOLDED, Misshapen, check_names, counts

#: What holds the request in an item of a batch, and the members that bound its output there, None
#: for any: Anthropic's, Mistral's, Gemini's.
ENVELOPES: Final[Mapping[str, tuple[str, ...] | None]] = {
    "params": BATCHED, "body": CHAT, "request": None,
}  # fmt: skip
#: Where Gemini's batches keep theirs: in `requests` within `requests` within one of these.
CONFIGS: Final = ("input_config", "inputConfig")
#: Members of an instance that ask a model to write; others ask for numbers, or for images.
_ASKING: Final = frozenset(("prompt", "messages", "inputs", "contents", "text_input"))


def requests_in(document: Mapping[str, Any]) -> list[Any]:
    """The requests of a batch in a document; empty where it is none."""
    found: list[Any] = []
    top = document.get("requests")
    if type(top) is list:
        found += top
    batch = document.get("batch")
    if type(batch) is dict:
        for name in CONFIGS:
            config = batch.get(name)
            held = config.get("requests") if type(config) is dict else None
            inner = held.get("requests") if type(held) is dict else None
            if type(inner) is list:
                found += inner
    return found


def read_batch(
    document: Mapping[str, Any], requests: Sequence[Any], reader: Reader, assumed: int
) -> int:
    """Read every request of a batch; the output tokens of all together.

    A request without a cap counts as `assumed` tokens per completion, and so does one of a shape
    nobody knows. What is to be embedded writes nothing.

    Raises:
        Misshapen: as everywhere, and for a request that is none.
    """
    endpoint = document.get("endpoint")
    silent = type(endpoint) is str and endpoint.endswith(WRITES_NOTHING)
    total = 0
    for request in requests:
        if type(request) is not dict:
            raise Misshapen
        held = [name for name in ENVELOPES if name in request]
        if not held:
            # Gemini's embeddings are the request itself.
            reader.loose(request)
            total += 0 if "content" in request else assumed
        for name in held:
            inner = request[name]
            if type(inner) is not dict:
                raise Misshapen
            check_names(inner, MEMBERS, MEMBERS_FOLDED)
            chars = reader.chars
            completions = read_texts(inner, reader)
            read_tools(inner, reader)
            if reader.chars == chars:
                reader.unknown(inner)
            cap, n = counts(inner, ENVELOPES[name])
            if name != "request" or "content" not in inner or "contents" in inner:
                total += (assumed if cap is None else cap) * n * completions
    return 0 if silent else total


def instances(document: Mapping[str, Any], cap: int | None) -> tuple[int | None, int]:
    """The largest cap of Vertex's instances, `cap` where they have none; how many of them write.

    Raises:
        Misshapen: as `members.counts`.
    """
    found = document.get("instances")
    asking = 0
    for one in found if type(found) is list else ():
        if type(one) is dict and not _ASKING.isdisjoint(one):
            own, n = counts(one)
            asking += n
            if own is not None:
                cap = own if cap is None else max(cap, own)
    return cap, max(asking, 1)
