"""What a server's refusals and silences mean, in words an operator can act on. Pure."""

from __future__ import annotations

from typing import Final

from gateway_guard.errors import SlotMovingError, StoreError

#: First word of an error reply → what it means.
MEANINGS: Final = {
    "LOADING": "the server is still reading its data into memory",
    "BUSY": "another script keeps the server busy; SCRIPT KILL ends it",
    "READONLY": "this server is a replica; name the master, or Sentinels (redis+sentinel://)",
    "OOM": "the server is out of memory; raise maxmemory, and let nothing be evicted",
    "MISCONF": "the server refuses writes because it cannot save its data to disk",
    "MASTERDOWN": "this server is a replica that has lost its master",
    "NOREPLICAS": "too few replicas follow the master (min-replicas-to-write)",
    "CLUSTERDOWN": "the Cluster serves no slots; see CLUSTER INFO",
    "TRYAGAIN": "the slot of these keys is being moved",
    "MOVED": "this server belongs to a Cluster: write redis+cluster://",
    "ASK": "the slot of these keys is being moved",
    "CROSSSLOT": "the keys lie in several slots of a Cluster: write redis+cluster://",
    "NOAUTH": "the server wants a password: redis://:password@host",
    "WRONGPASS": "user or password is wrong",
    "NOPERM": "the user lacks a command (examples/cluster/README.md), or the namespace's keys",
    "WRONGTYPE": "a key of this namespace holds something else; choose another namespace",
    "NOSCRIPT": "the server forgets scripts at once",
}
#: Of these the server's state is the cause: the same will succeed later.
PASSING: Final = frozenset(
    ("LOADING", "BUSY", "READONLY", "OOM", "MISCONF", "MASTERDOWN", "NOREPLICAS", "CLUSTERDOWN",
     "TRYAGAIN", "MOVED", "ASK", "NOAUTH", "WRONGPASS", "NOPERM", "NOSCRIPT")
)  # fmt: skip


def code_of(error: BaseException) -> str:
    """The code of an error reply, such as `OOM`; `ERR` where it has none.

    The client library cuts the code off most of its exceptions and keeps it beside them; errors
    from within a script may carry it further back.
    """
    code = getattr(error, "status_code", None)
    text = str(error)
    if not isinstance(code, str) or code not in MEANINGS:
        words = text.replace(":", " ").split()
        code = next((word for word in words[:12] if word in MEANINGS), "ERR")
    return code


def refused(error: BaseException, where: str) -> StoreError:
    """For an error reply of the server at `where`."""
    code = code_of(error)
    meaning = MEANINGS.get(code)
    if meaning is None:
        # Ours are scripts of fixed text over packed numbers: the reply quotes no request.
        meaning = str(error)[:200] or type(error).__name__
    kind = SlotMovingError if code in ("TRYAGAIN", "ASK") else StoreError
    return kind(f"{where}: {code}: {meaning}")


def unreachable(error: BaseException, where: str) -> StoreError:
    """For a connection that could not be made, or broke."""
    return StoreError(f"{where}: unreachable: {str(error)[:200] or type(error).__name__}")


def silent(where: str, seconds: float) -> StoreError:
    """For an answer that did not come in time."""
    return StoreError(f"{where}: timeout: no answer within {seconds:g} s")


def foreign(where: str) -> StoreError:
    """For an answer to another question than the one asked."""
    return StoreError(
        f"{where}: misordered: an answer belonged to another request; the connection was dropped"
    )


def closed(where: str) -> StoreError:
    """For whoever asks a store that was closed."""
    return StoreError(f"{where}: unreachable: the store is closed")
