"""What the guard decides by itself, where the decision log has no rule of the policy: `guard:…`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: Name in the decision log → when it is met, what the client sees, and who can change it.
OWN: Final[Mapping[str, str]] = {
    "guard:ban": (
        "A reviewer banned the account, and no rule refused it first: 403. `gateway-guard account "
        "show` says who and why, `account clear` lifts it."
    ),
    "guard:body": (
        "The body of a request to a model cannot be read, or not in one way only, and "
        "`on_error.body` is `deny`: 400, 413 where it is too large, 415 where its encoding is "
        "unknown. `inspection` in the decision log says what it was."
    ),
    "guard:challenge": (
        "A reviewer asked the account, or the campaign it is in, to verify itself first. `account "
        "clear` lifts it, and so does verification."
    ),
    "guard:credential": (
        "There is a credential, and it names no account: a token that fails verification, or two "
        "that differ: 401. `credential_fault` in the decision log says why."
    ),
    "guard:error": (
        "The guard failed at the request; its log says where. `on_error.guard` decides: 500, or "
        "let through."
    ),
    "guard:jwks": (
        "A token cannot be verified, because its issuer's keys cannot be fetched and none are "
        "held: 503 and when to come again. `/readyz` says which keys."
    ),
    "guard:overload": (
        "There is more to do than the process or the upstream has room for: 503 and when to come "
        "again, nothing charged. `overload` in the policy sets the bounds."
    ),
    "guard:path": (
        "The path can be read in two ways, and `on_error.path` is `deny`: 400. Somebody else would "
        "serve another path than the one the rules were asked about."
    ),
    "guard:store": (
        "Limits could not be counted, because the shared store does not answer, and "
        "`on_error.store` is `deny`: 503. `/readyz` says since when and why."
    ),
    "guard:trailers": (
        "A request in chunks has a header twice whose second may be a trailer, which nobody was to "
        "believe: 400."
    ),
    "guard:websocket": (
        "The policy says `websocket: deny`, and no rule judged a WebSocket handshake, or one that "
        "restricts, which a socket cannot be: 403."
    ),
}
