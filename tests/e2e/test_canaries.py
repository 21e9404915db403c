"""Planted keys, prompts, addresses and passwords are in nothing that a serving sidecar leaves.

One sidecar of two workers with Redis, decision log, campaigns, audit file and dashboard is asked in
every dialect, well and badly, while the upstream fails; then the workers are aborted, their
successors stopped, and every byte that is left is searched (`tests.canaries`).
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import signal
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.canaries import found
from tests.e2e.servers import (
    PATIENCE,
    STREAM,
    Client,
    Seen,
    Sidecar,
    Upstream,
    ask,
    chunk,
    get,
    reset,
    run,
    says,
)
from tests.servers import Server, needs_redis, until

pytestmark = [pytest.mark.e2e, needs_redis]

#: What must be nowhere, each with letters of its own.
CANARY: Final = {
    "key": "cnrKEYq7Vb2mXw9RtL4pZs8Hd",
    "token": "cnrJWTa3Nf6kYu1GjC5oEi0Bv",
    "signing key": "cnrHMCz8Pq4sDg2TnW7lMx6Ky",
    "prompt": "cnrPROMPTh5Fc9bRv3UwJ1aQe",
    "answer": "cnrANSWERt2Lz7dXk8NyG4mSo",
    "query": "cnrQUERYu6Wj1fHp5CrE9iVb",
    "cookie": "cnrCOOKIEe4Yn8gZt7OqK2lXa",
    "field": "cnrFIELDb9Dv3hMw6TfA5sJu",
    "account header": "cnrACCTv1Rk7jQx4BpI8zGn",
    "admin token": "cnrADMINo3Hs5yLc2WmU6eFt",
    "reading token": "cnrREADi7Gb1vTz9XkN4rPd",
    "guessed token": "cnrGUESSl8Ju6qEa3YhV5nCw",
    "store password": "cnrREDISx2Mf9wSo7DtQ1bKi",
    "directory token": "cnrDIRECk5Zy4pUr8HgL6jAv",
    "directory query": "cnrDIRQYs6Xn2cBe1JwT9mRo",
    "secret": "a secret for tests only",
    "address": "203.0.113.177",
    "address of version 6": "2001:db8:ca7a:ca7a::177",
}

POLICY = f"""\
version: 1
mode: enforce
default: allow
identify:
  trusted_proxies: [127.0.0.1]
  account:
    - {{ header: x-api-key }}
    - {{ jwt: {{ key: {CANARY["signing key"]}-{CANARY["signing key"]}, algorithms: [HS256] }} }}
inspect: {{ max_body: 16 KB }}
on_error: {{ store: allow, body: deny }}
signals:
  template-sweep: {{ weight: 0.2 }}
  low-variance: {{ weight: 0.2 }}
  reasoning-elicitation: {{ weight: 0.2 }}
limits:
  requests: {{ per: account, requests: 1000/minute }}
  few: {{ per: client_ip, requests: 100000/minute }}
rules:
  - name: forbidden-words
    when: {{ prompt: [words nobody may say] }}
    then: deny
  - name: campaign-members
    when: {{ campaign: {{ min: 0.9 }} }}
    then: deny
  - name: no-admin
    when: {{ path: [/admin, /admin/**] }}
    then: deny
"""

CHAT = "/v1/chat/completions"
PROMPT = f"Please tell {CANARY['prompt']} what {CANARY['prompt'][::-1]} means"
BODY: dict[str, Any] = {"model": "apex-4", "messages": [{"role": "user", "content": PROMPT}]}


def holding(connection: socket.socket, request: Seen, upstream: Upstream) -> bool:
    """Begins an answer and does not go on until it is told to."""
    connection.sendall(STREAM + chunk(f"data: {CANARY['answer']}\n\n".encode()))
    upstream.go.wait(10 * PATIENCE)
    return False


def breaking(connection: socket.socket, request: Seen, upstream: Upstream) -> bool:
    """Ends the connection in the middle of an answer."""
    connection.sendall(STREAM + chunk(f"data: {CANARY['answer']}\n\n".encode()))
    reset(connection)
    return False


ANSWERED = json.dumps(
    {"choices": [{"message": {"role": "assistant", "content": CANARY["answer"]}}],
     "usage": {"prompt_tokens": 9, "completion_tokens": 9}}
).encode()  # fmt: skip
FAILED = json.dumps({"error": {"message": f"{CANARY['answer']} {PROMPT}"}}).encode()
PLAIN = (
    b"HTTP/1.1 %s\r\nX-Debug: %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
)

UPSTREAM: Final = {
    CHAT: says(PLAIN % (b"200 OK", CANARY["answer"].encode(), len(ANSWERED), ANSWERED)),
    "/v1/messages": says(PLAIN % (b"500 No", CANARY["answer"].encode(), len(FAILED), FAILED)),
    "/v1/completions": says(b"HTTP/1.1 200 " + CANARY["answer"].encode() + b"\r\nrubbish"),
    "/v1/responses": breaking,
    "/api/chat": says(STREAM + chunk(f"data: {CANARY['answer']}\n\n".encode()) + b"0\r\n\r\n"),
    "/api/generate": holding,
}


def fields() -> list[str]:
    """What every request brings along."""
    return [
        f"Cookie: session={CANARY['cookie']}", f"X-Anything: {CANARY['field']}",
        f"X-Forwarded-For: {CANARY['address']}", f"User-Agent: sdk/1 {CANARY['field']}",
        f"Referer: http://a.test/?{CANARY['query']}", f"traceparent: 00-{CANARY['field']}-01",
        f"Proxy-Authorization: Basic {CANARY['field']}",
    ]  # fmt: skip


def token() -> str:
    """A JSON Web Token that nobody signed."""
    parts = [{"alg": "HS256"}, {"sub": CANARY["token"], "exp": 9e9}, CANARY["token"]]
    return ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts
    )


def post(path: str, body: Any, *lines: str, key: str = f"X-Api-Key: {CANARY['key']}") -> bytes:
    """A request with everything planted in it."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = () if any(line.startswith("Content-Type") for line in lines) else (
        "Content-Type: application/json",)  # fmt: skip
    return get(
        f"{path}?api_key={CANARY['query']}", key, *fields(), *kind, *lines, "Connection: close",
        method="POST", body=raw,
    )  # fmt: skip


def requests() -> Iterator[bytes]:
    """Every dialect, well formed and not, let through, refused and failing."""
    said = PROMPT
    for hidden in (said, base64.b64encode(said.encode()).decode(), said.encode().hex(),
                   f"words nobody may say {said}"):  # fmt: skip
        yield post(CHAT, {"model": "apex-4", "messages": [{"role": "user", "content": hidden}]})
    call = {
        "id": "c1",
        "type": "function",
        "function": {"name": "f", "arguments": json.dumps({"a": said})},
    }
    tools = [{"type": "function", "function": {"name": "f", "description": said}}]
    yield post(CHAT, {"model": "apex-4", "tools": tools, "user": said, "messages": [
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": said},
        {"role": "user", "content": [{"type": "image_url", "image_url": {
            "url": f"data:image/png;base64,{base64.b64encode(said.encode()).decode()}"}}]},
    ]})  # fmt: skip
    yield post("/v1/messages", {**BODY, "system": said, "max_tokens": 9})
    yield post("/v1/completions", {"model": "apex-4", "prompt": [said, said]})
    yield post("/v1/responses", {"model": "apex-4", "input": said, "stream": True})
    yield post("/api/chat", {**BODY, "stream": True})
    yield post("/v1beta/models/apex-4:generateContent", {"contents": [{"parts": [{"text": said}]}]})
    yield post("/v1/embeddings", {"model": "apex-4", "input": [said]})
    # Unsigned, by other schemes, twice.
    yield post(CHAT, BODY, key=f"Authorization: Bearer {token()}")
    yield post(CHAT, BODY, key=f"Authorization: Bearer {CANARY['token']}")
    yield post(CHAT, BODY, key=f"Authorization: Basic {CANARY['token']}")
    yield post(CHAT, BODY, f"X-Api-Key: {CANARY['token']}")
    # Unreadable: cut, twice the same name, too large, compressed, badly compressed, no JSON at all.
    whole = json.dumps(BODY).encode()
    yield post(CHAT, whole[:-9])
    yield post(CHAT, whole[:-1] + b"," + whole[1:])
    yield post(CHAT, {**BODY, "more": said * 400})
    yield post(CHAT, gzip.compress(whole), "Content-Encoding: gzip")
    yield post(CHAT, gzip.compress(whole)[:-20], "Content-Encoding: gzip")
    yield post(CHAT, whole, f"Content-Encoding: {CANARY['field']}")
    yield post(CHAT, said.encode(), f"Content-Type: text/{CANARY['field']}")
    form = f'--x\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n{said}\r\n--x--\r\n'
    yield post("/v1/images/edits", form.encode(), "Content-Type: multipart/form-data; boundary=x")
    # Refused before anybody looks at the body, and no HTTP.
    yield post("/admin/", BODY)
    yield post(CHAT, BODY, f"X-Forwarded-For: {CANARY['address of version 6']}")
    yield post(CHAT, BODY, f"Transfer-Encoding: {CANARY['field']}")
    yield get(f"{CHAT}?x={CANARY['query']}%zz%00\\", f"Bad Name: {CANARY['field']}")
    yield f"GET {CHAT}?{CANARY['query']} HTTP/9.9\r\nX: {CANARY['field']}\r\n\r\n".encode()
    yield f"{CANARY['field']} {CANARY['query']}\r\n\r\n".encode()
    yield get(
        f"/v1/realtime?model=apex-4&k={CANARY['query']}", *fields(), "Upgrade: websocket",
        "Connection: Upgrade", "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        f"Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.{CANARY['key']}",
    )  # fmt: skip


def admin(
    port: int, path: str, *lines: str, method: str = "GET", body: bytes | None = None
) -> bytes:
    """An answer of the admin port to whoever may do everything: its head and body."""
    raw = get(path, f"Authorization: Bearer {CANARY['admin token']}", "Connection: close", *lines,
              method=method, body=body).replace(b"Host: api.test", b"Host: 127.0.0.1")  # fmt: skip
    answer = ask(port, raw)
    return json.dumps(answer.headers).encode() + answer.body


def crawled(port: int) -> dict[str, bytes]:
    """Every page that the dashboard leads to, and what is beside it."""
    pages: dict[str, bytes] = {}
    waiting = ["/dashboard", "/dashboard?window=day&still", "/metrics", "/readyz", "/healthz",
               "/debug/snapshot"]  # fmt: skip
    while waiting:
        path = waiting.pop()
        pages[path] = page = admin(port, path)
        links = {one.decode().partition("#")[0].replace("&amp;", "&")
                 for one in re.findall(rb'href="(/[^"]*)"', page)}  # fmt: skip
        waiting += sorted(links - pages.keys() - set(waiting))
    return pages


class Monitor:
    """Everything a Redis server is told, as it is told."""

    def __init__(self, server: Server, password: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(server.path))
        self._socket.sendall(f"AUTH {password}\r\nMONITOR\r\n".encode())
        assert self._socket.recv(64).startswith(b"+OK")
        self.heard = b""
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while data := self._socket.recv(65536):
            self.heard += data

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE)
        self._socket.close()


def kept(server: Server, password: str) -> bytes:
    """Every key of a Redis server, with its value as the server writes it to disk."""
    import redis

    with redis.Redis(unix_socket_path=str(server.path), password=password) as there:
        return b"\n".join(
            bytes(key) + b" " + (there.dump(key) or b"") for key in there.scan_iter(count=1000)
        )


def worker_ids(port: int) -> list[int]:
    body = ask(port, get("/debug/snapshot", f"Authorization: Bearer {CANARY['admin token']}"))
    return [one["process"]["pid"] for one in json.loads(body.body)["workers"]]


def links(port: int) -> bool:
    """Whether one of the workers links campaigns."""
    page = admin(port, "/metrics")
    return re.search(rb"^gateway_guard_linker_active\S* 1", page, re.MULTILINE) is not None


def environment(directory: str) -> Mapping[str, str]:
    """Everything on, and something secret wherever something can be."""
    return {
        "GATEWAY_GUARD_ADMIN_TOKEN": CANARY["admin token"],
        "GATEWAY_GUARD_ADMIN_READ_TOKEN": CANARY["reading token"],
        "GATEWAY_GUARD_ACCOUNTS_TOKEN": CANARY["directory token"],
        "GATEWAY_GUARD_ACCOUNTS_URL": f"{directory}/{{account}}?k={CANARY['directory query']}",
        "GATEWAY_GUARD_LOG_ADDRESSES": "none",
        "PYTHONFAULTHANDLER": "1",
        "PYTHONASYNCIODEBUG": "1",
    }


def asked(sidecar: Sidecar) -> set[int]:
    """Ask everything; the statuses of the answers."""
    statuses = {ask(sidecar.port, raw).status for raw in requests()}
    guesses = [
        get("/dashboard", f"Authorization: Bearer {CANARY['guessed token']}"),
        get("/debug/snapshot", f"Cookie: gateway_guard_admin={CANARY['guessed token']}"),
        get("/dashboard/login", "Origin: http://api.test", method="POST",
            body=f"token={CANARY['guessed token']}&name=mia".encode()),
    ]  # fmt: skip
    assert {ask(sidecar.admin, raw).status for raw in guesses} <= {401, 403}
    return statuses


def decided(sidecar: Sidecar, account: str) -> dict[str, bytes]:
    """Ban an account, and look for one by its key, which is a mistake."""
    path = f"/dashboard/accounts/{account}"
    ban = admin(sidecar.admin, path, method="POST", body=b"ruling=ban&reason=stolen&by=mia")
    search = admin(sidecar.admin, f"/dashboard/accounts?q={CANARY['guessed token']}")
    return {"decision of a person": ban, "search for a key": search}


def aborted(sidecar: Sidecar, pids: list[int]) -> None:
    """Have the workers crash while a request is under way, and wait for the next ones."""
    with Client(sidecar.port) as waiting:
        waiting.send(post("/api/generate", {"model": "apex-4", "prompt": PROMPT}))
        waiting.until(CANARY["answer"].encode())
        for pid in pids:
            # One after the other: what two processes write at once is cut anywhere.
            mark = len(sidecar.lines)
            os.kill(pid, signal.SIGABRT)
            sidecar.wait_for("Fatal Python error: Aborted", after=mark)
            sidecar.wait_for(" serving$", after=mark)
    until(lambda: links(sidecar.admin), "one of the next ones learns")


@contextmanager
def serving(folder: Path, store: str, upstream: str) -> Iterator[Sidecar]:
    """The sidecar, with what it leaves in `folder`."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(upstream).items():
            patch.setenv(name, value)
        sidecar = Sidecar(
            folder.parent, upstream, "--workers=2", "--log-level=debug", f"--store={store}",
            f"--decision-log={folder / 'decisions'}", f"--campaigns-file={folder / 'campaigns'}",
            f"--snapshot-dir={folder}", policy=POLICY,
        )  # fmt: skip
    with sidecar:
        sidecar.all_serve(2)
        until(lambda: links(sidecar.admin), "one of them learns what both see")
        yield sidecar


def test_nothing_planted_is_in_anything_it_leaves(tmp_path: Path) -> None:
    left: dict[str, bytes] = {}
    password = CANARY["store password"]
    out = tmp_path / "out"
    out.mkdir()
    with (
        Server(f"requirepass {password}", "rdbcompression no") as server,
        Upstream(scripts=dict(UPSTREAM)) as upstream,
        serving(out, f"redis://:{password}@127.0.0.1:{server.port}/0", upstream.url) as sidecar,
    ):
        monitor = Monitor(server, password)
        statuses = asked(sidecar)
        # What is settled reaches the log, the store and the pages after the answers.
        until(lambda: len((out / "decisions").read_bytes().splitlines()) >= 20, "they are logged")
        left |= crawled(sidecar.admin)
        account = re.findall(r"acct_\w{16}", (out / "decisions").read_text("utf-8"))[0]
        until(lambda: account.encode() in monitor.heard, "it is learnt of")
        left |= decided(sidecar, account)
        pids = worker_ids(sidecar.admin)
        sidecar.process.send_signal(signal.SIGHUP)
        for pid in pids:
            os.kill(pid, signal.SIGUSR1)
        until(lambda: len(list(out.glob("snapshot-*.json"))) == 2, "both wrote a snapshot")
        limits = [Path(f"/proc/{pid}/limits").read_text("utf-8") for pid in pids]
        left["redis"] = kept(server, password)
        aborted(sidecar, pids)
        left |= {f"{path}, later": page for path, page in crawled(sidecar.admin).items()}
        ended = sidecar.end()
        monitor.close()
        left["told to redis"] = monitor.heard
        left["redis at the end"] = kept(server, password)
    left["what it said"] = "\n".join(sidecar.lines).encode()
    left |= {path.name: path.read_bytes() for path in out.iterdir()}
    for schema in ("ecs", "ocsf"):
        left[schema] = run("export", schema, str(out / "decisions")).stdout.encode()
    wrong = run("serve", "-p", str(sidecar.policy), "-u", f"http://u:{CANARY['key']}@h")
    left["refused to start"] = wrong.stderr.encode()

    leaks = {name: what for name, data in left.items() if (what := found(CANARY, data))}
    assert leaks == {}
    # It went through all of it: where nothing is, nothing can be found.
    assert ended == 0
    assert {200, 400, 401, 403, 413, 415, 500, 502} <= statuses
    assert account.encode() in left["decisions"]
    assert account.encode() in left["told to redis"]
    assert b"ban" in left["campaigns.audit"]
    assert b"write http://host:port" in left["refused to start"]
    for name in ("redis", "campaigns", "ecs", "ocsf", "/metrics", "/debug/snapshot"):
        assert len(left[name]) > 100, name
    assert {"/dashboard/accounts", "/dashboard/campaigns", "/dashboard/audit"} <= left.keys()
    assert all(re.search(r"Max core file size +0 +0 ", said) for said in limits)
