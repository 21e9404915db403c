"""One script called: the bytes to send, and who is told what the server said. No I/O."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import lru_cache

from gateway_guard.errors import StoreError
from gateway_guard.stores import answers
from gateway_guard.stores.scripts import Script


class Call:
    """One script called.

    Attributes:
        answer: resolves to what the script said behind its mark, or fails with `StoreError`.
        sent: whether it was ever sent.
        unsure: whether the server may have acted although no answer came.
        passing: whether the failure is the server's present state, so that later it may succeed.
        again: whether it was sent before, to a connection that broke.
        hops: how often it was sent on to another node of a Cluster.
        waited: seconds it has waited for a slot on its way to another node.
        asking: whether that node must be told that the slot is on its way there.
    """

    __slots__ = (
        "again", "answer", "args", "asking", "expects", "hops", "keys", "passing", "script",
        "sent", "unsure", "waited",
    )  # fmt: skip

    def __init__(
        self,
        script: Script,
        id: bytes,
        keys: tuple[bytes, ...],
        args: tuple[bytes, ...],
        answer: asyncio.Future[bytes],
    ) -> None:
        self.script = script
        self.keys = keys
        self.args = (id, *args)
        self.expects = id + script.mark
        self.answer = answer
        self.again = False
        self.sent = False
        self.unsure = False
        self.passing = True
        self.hops = 0
        self.waited = 0.0
        self.asking = False

    def command(self) -> bytes:
        """The bytes to send."""
        keys = self.keys
        args = (*self.args, b"1") if self.again else self.args
        count = b"%d" % len(keys)
        return b"*%d\r\n$7\r\nEVALSHA\r\n$40\r\n%b\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n%b%b" % (
            3 + len(keys) + len(args),
            self.script.digest,
            len(count),
            count,
            len(keys[0]),
            keys[0],
            _words(keys[1:]),
            b"".join([b"$%d\r\n%b\r\n" % (len(arg), arg) for arg in args]),
        )

    def take(self, reply: object) -> bool:
        """Resolve with `reply`; False when it answers something else."""
        if type(reply) is not bytes or not reply.startswith(self.expects):
            return False
        self.unsure = False
        if not self.answer.done():
            self.answer.set_result(reply[len(self.expects) :])
        return True

    def refuse(self, error: BaseException, where: str) -> None:
        """Fail with an error reply: the server said that it did nothing."""
        self.unsure = False
        self.passing = answers.code_of(error) in answers.PASSING
        self.fail(answers.refused(error, where))

    def fail(self, error: StoreError) -> None:
        """Fail, unless somebody was told already."""
        if not self.answer.done():
            # Each its own: one that many raise would collect the tracebacks of all.
            self.answer.set_exception(type(error)(*error.args))


def packed(*words: bytes) -> bytes:
    """A command as the protocol has it; the library's own packing costs six times as much."""
    return b"*%d\r\n%b" % (len(words), _words(words))


#: Keys of an account's limits are the same for all its requests.
@lru_cache(4_096)
def _words(words: tuple[bytes, ...]) -> bytes:
    return b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words])


def fail(calls: Iterable[Call], error: StoreError) -> None:
    """Fail every one of `calls` that has no answer yet."""
    for call in calls:
        call.fail(error)
