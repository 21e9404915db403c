"""Who is measured, and how each is set up: the nearest to one limit for each key, in memory."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import msgspec

from tests.evaluate.sets import ROOT
from tests.peers.child import ONE_LIMIT, SECRET
from tests.peers.environments import Environment

#: Ours: as it stands in the tree, and the wheel whose busiest files are compiled.
PLAIN: Final = Environment("plain", (), sys.executable)
COMPILED: Final = Environment(
    "compiled", (), str(ROOT / "build" / "compiled" / "venv" / "bin" / "python")
)


class InProcess(msgspec.Struct, frozen=True):
    """A middleware or dependency.

    Attributes:
        name: of its function in `child.py`, and how the table calls it.
        environment: where it runs.
        does: what one request gets for the figure.
    """

    name: str
    environment: Environment
    does: str


#: How low a figure can be: of what a guard must do, and of what passes through Python at all.
FLOOR: Final = "floor: the least a guard does"
RELAY: Final = "floor: bytes passed on"
_SLOWAPI = Environment("slowapi", ("slowapi==0.1.10", "starlette==1.10.0"))
_GUARD = Environment("fastapi-guard", ("fastapi-guard==8.1.2", "fastapi==0.165.0"))
_LIMITER = Environment("fastapi-limiter", ("fastapi-limiter==0.2.0", "fastapi==0.165.0"))
_RATELIMIT = Environment("asgi-ratelimit", ("asgi-ratelimit==0.10.0",))
_THROTTLED = Environment(
    "throttled-py", ("throttled-py[fastapi]==3.5.0", "fastapi==0.165.0")
)  # fmt: skip
_LITELLM = Environment("litellm", ("litellm[proxy]==1.106.2",))
_UNMIMIC = Environment("unmimic", ("unmimic==0.1.0",))

_ONE: Final = "one limit for each key; body read and checked, tokens taken from the answer"
_QUIET: Final = "the same; no headers"
_MINIMAL: Final = "one limit, two countries; in shadow, so no headers"
_STANDARD: Final = "four limits, signals, campaigns with the linker's thread"

#: Ours, by what the policy asks for.
_OURS: Final = {
    "one limit": _ONE, "one limit, headers off": _QUIET, "minimal.yaml": _MINIMAL,
    "standard.yaml": _STANDARD,
}  # fmt: skip

IN_PROCESS: Final[tuple[InProcess, ...]] = (
    *(
        InProcess(f"{build}, {policy}", environment, does)
        for build, environment in (("gateway_guard", PLAIN), ("gateway_guard compiled", COMPILED))
        for policy, does in _OURS.items()
    ),
    InProcess(
        FLOOR, PLAIN, "body and usage decoded, the key hashed, one count, two headers; no rule"
    ),
    InProcess("asgi-ratelimit", _RATELIMIT, "one limit for each key, by path; no headers"),
    InProcess("slowapi", _SLOWAPI, "its ASGI middleware: one limit for each key; no headers"),
    InProcess(
        "slowapi, headers on", _SLOWAPI, "the same, and headers with the limit, as the guard's"
    ),
    InProcess(
        "fastapi-limiter", _LIMITER,
        "its dependency as its page shows it: one bucket for all keys; no headers",
    ),
    InProcess(
        "throttled-py", _THROTTLED, "its decorator for FastAPI: one limit for each key; no headers"
    ),
    InProcess(
        "throttled-py, headers on", _THROTTLED,
        "the same with its middleware for headers with the limit",
    ),
    InProcess(
        "fastapi-guard, limit only", _GUARD,
        "its pure ASGI middleware: one limit for each address, its patterns switched off",
    ),
    InProcess(
        "fastapi-guard", _GUARD,
        "the middleware its page shows, with its defaults but Redis: one limit for each "
        "address, and the body searched for attacks",
    ),
)  # fmt: skip


class Proxy(msgspec.Struct, frozen=True, kw_only=True):
    """A server in front of the upstream.

    Attributes:
        name: how the table calls it.
        does: what one request gets.
        command: what starts it; in it, in `files` and in `env`, `@PORT@`, `@UPSTREAM@` (a port) and
            `@FOLDER@` stand for what they are in this run.
        files: what is written into its folder first.
        env: more of the environment.
        environment: where the program is; None for this one or the system's.
        version: words that make it say its version; empty when `environment` knows.
    """

    name: str
    does: str
    command: tuple[str, ...]
    files: dict[str, str] = {}
    env: dict[str, str] = {}
    environment: Environment | None = None
    version: tuple[str, ...] = ()


_SERVE: Final = (
    "@PYTHON@", "-m", "gateway_guard", "serve", "--policy", "@FOLDER@/policy.yaml",
    "--upstream", "http://127.0.0.1:@UPSTREAM@", "--port", "@PORT@", "--admin-port", "-1",
    # So that its memory can be read from outside.
    "--core-dumps",
)  # fmt: skip
_SECRET: Final = {"GATEWAY_GUARD_SECRET": SECRET.decode()}
#: As in process.
_ONE_LIMIT: Final = ONE_LIMIT.decode()


def _file(name: str) -> dict[str, str]:
    return {name: (Path(__file__).parent / "configurations" / name).read_text()}


def _policy(name: str) -> str:
    return (ROOT / "policies" / f"{name}.yaml").read_text()


def _ours(name: str, does: str, policy: str, environment: Environment) -> Proxy:
    return Proxy(
        name=name, does=does, command=_SERVE, files={"policy.yaml": policy}, env=_SECRET,
        environment=environment,
    )  # fmt: skip


PROXIES: Final[tuple[Proxy, ...]] = (
    _ours("gateway_guard, one limit", _ONE, _ONE_LIMIT, PLAIN),
    _ours("gateway_guard, minimal.yaml", _MINIMAL, _policy("minimal"), PLAIN),
    _ours("gateway_guard, standard.yaml", _STANDARD, _policy("standard"), PLAIN),
    _ours("gateway_guard compiled, one limit", _ONE, _ONE_LIMIT, COMPILED),
    _ours("gateway_guard compiled, standard.yaml", _STANDARD, _policy("standard"), COMPILED),
    Proxy(
        name=RELAY, does="by uvloop, with nothing read of them: no proxy in Python costs less",
        command=("@PYTHON@", str(Path(__file__).with_name("relay.py")), "@PORT@", "@UPSTREAM@"),
        environment=PLAIN,
    ),
    Proxy(
        name="Envoy", does="local_ratelimit, one bucket for each key",
        command=(
            "envoy", "-c", "@FOLDER@/envoy.yaml", "--use-dynamic-base-id", "--concurrency", "1",
            "--log-level", "warn",
        ),
        files=_file("envoy.yaml"), version=("--version",),
    ),
    Proxy(
        name="nginx", does="limit_req for each key, proxy_pass without buffering",
        command=("nginx", "-p", "@FOLDER@", "-c", "@FOLDER@/nginx.conf"),
        files=_file("nginx.conf"), version=("-v",),
    ),
    Proxy(
        name="HAProxy", does="a stick table's rate for each key, http-no-delay",
        command=("haproxy", "-db", "-f", "@FOLDER@/haproxy.cfg"),
        files=_file("haproxy.cfg"), version=("-v",),
    ),
    Proxy(
        name="Caddy", does="forwarding only: it comes without limits",
        command=("caddy", "run", "--adapter", "caddyfile", "--config", "@FOLDER@/Caddyfile"),
        files=_file("Caddyfile"), version=("version",),
        env={"GOMAXPROCS": "1", "HOME": "@FOLDER@", "XDG_DATA_HOME": "@FOLDER@"},
    ),
    Proxy(
        name="LiteLLM proxy",
        does="routes by model, one worker; no limit, as limits by key want its database",
        command=(
            "@BIN@/litellm", "--config", "@FOLDER@/litellm.yaml", "--host", "127.0.0.1",
            "--port", "@PORT@",
        ),
        files=_file("litellm.yaml"), environment=_LITELLM,
        env={"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR",
             "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true"},
    ),
    Proxy(
        name="unmimic",
        does="its two output guards; no limit, and its input guard wants a model it downloads",
        command=(
            "@BIN@/unmimic", "serve", "--upstream", "http://127.0.0.1:@UPSTREAM@/v1",
            "--port", "@PORT@",
        ),
        environment=_UNMIMIC,
    ),
)  # fmt: skip

EVERYBODY: Final[tuple[InProcess | Proxy, ...]] = (*IN_PROCESS, *PROXIES)
