"""Somebody else who finds out who a visitor is: the other side of `provider:` in a policy.

    uvicorn examples.verification.provider:app --port 8090

Here it believes whatever it is told. Put your sign-in (OpenID Connect, a document check, a payment)
where `who` is, and hand on the id that it gives: the same person must have the same one.
"""

from __future__ import annotations

import html
import json
import os
import secrets
import time
from pathlib import Path
from urllib.parse import parse_qs

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from gateway_guard.core.callbacks import key_of, sign

#: The guard's `verification.url`: where callbacks go, and the only place visitors are sent back to.
GUARD = os.environ.get("GUARD", "http://127.0.0.1:8080/verify")
KEY_FILE = os.environ.get("KEY_FILE", Path(__file__).parent / "provider.key")

PAGE = """<!doctype html><meta charset="utf-8"><title>Who are you?</title>
<form method="post"><input type="hidden" name="state" value="{state}">
<input type="hidden" name="return" value="{back}">
<label>Your name <input name="who" required></label> <button>That is me</button></form>"""

http = httpx.AsyncClient(timeout=10.0)


async def start(request: Request) -> Response:
    """Where the guard sends a visitor: `state` is to be handed back, `return` is the way back."""
    back = request.query_params.get("return", "")
    if not back.startswith(f"{GUARD}/done?"):
        return Response("not from our guard", 400)
    state = request.query_params.get("state", "")
    return HTMLResponse(PAGE.format(state=html.escape(state), back=html.escape(back)))


async def found(request: Request) -> Response:
    """Who the visitor is has been found out: tell the guard, and send them back to it."""
    said = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
    back = said.get("return", "")
    if not back.startswith(f"{GUARD}/done?"):
        return Response("not from our guard", 400)
    await tell(said.get("state", ""), subject=said.get("who", ""))
    return RedirectResponse(back, 303)


async def tell(state: str, *, subject: str) -> int:
    """Call the guard back; the status of its answer. 409: this link counted already."""
    key = key_of(Path(KEY_FILE).read_bytes())  # noqa: ASYNC240 - a few bytes, once a visitor
    if key is None:
        raise RuntimeError(f"{KEY_FILE} holds no key: openssl rand -hex 32")
    body = json.dumps({"state": state, "subject": subject, "verified": bool(subject)}).encode()
    name, now = f"msg_{secrets.token_hex(8)}", int(time.time())
    headers = {
        "content-type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": str(now),
        # Standard Webhooks; any library for them does the same.
        "webhook-signature": sign(key, name, now, body),
    }
    answer = await http.post(f"{GUARD}/callback", content=body, headers=headers)
    return answer.status_code


app = Starlette(
    routes=[Route("/start", start, methods=["GET"]), Route("/start", found, methods=["POST"])]
)
