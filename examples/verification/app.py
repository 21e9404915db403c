"""An application that verifies its accounts itself: only who was invited passes.

    POLICY=examples/verification/policy.yaml uvicorn examples.verification.app:app --port 8080

Ask for `/v1/chat/completions` with any key: the refusal holds a link. Open it, write
`ada@example.com`, and ask again.
"""

from __future__ import annotations

import os
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from gateway_guard import GuardMiddleware, VerificationApp
from gateway_guard.verification.checks import Visit

POLICY = os.environ.get("POLICY", Path(__file__).parent / "policy.yaml")

#: In real life a table of yours: contracts, invitations, the people who passed your own checks.
INVITED = {"ada@example.com", "grace@example.com"}


async def invited(visit: Visit) -> str | None:
    """Who the visitor is, or None for nobody we know.

    What is returned counts as one subject however often it comes: the policy's `accounts` says for
    how many accounts one subject may speak. So fold what people spell differently.
    """
    address = visit.fields["Where we invited you (e-mail)"].strip().lower()
    return address if address in INVITED else None


async def chat(request: Request) -> JSONResponse:  # noqa: ARG001
    """The model API."""
    message = {"role": "assistant", "content": "Hello."}
    return JSONResponse({"choices": [{"message": message}], "model": "apex-4"})


model = Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"])])
guarded = GuardMiddleware(model, policy=POLICY)
# In front of the guard: visitors have no key, and whoever is challenged must get here.
app = VerificationApp(guarded.guard, guarded, check=invited)
