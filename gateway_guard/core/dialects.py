"""Which paths reach a model, and whose API a request speaks."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from gateway_guard.core.globs import path_matcher
from gateway_guard.types import Dialect

# How the paths of model calls look, lower case. Gateways mount them under all kinds of prefixes
# (`/openai/v1/…`, `/api/v1/…`), so the end counts; but an application's own `/surveys/7/responses`
# or `/rooms/7/messages` is none, so words that others use, too, need the API's version before them.
# Digits are in one place only and never given back: `/v1111…` would be tried at every one of them.
_VERSION: Final = r"(?:.*/v[0-9]++(?:(?:alpha|beta)[0-9]*+)?)"
#: Azure has some of them without a version.
_AZURE: Final = rf"(?:{_VERSION}|.*/openai)"
#: A model in the middle of a path. LiteLLM's may have slashes (`azure/gpt`); so few that a path
#: full of them takes no longer.
#: Source: its routes (`/openai/deployments/{model:path}/…`, `/v1beta/models/{model_name:path}:…`).
_NAME: Final = r"[^/]+(?:/[^/]+){0,3}?"
_OPENAI: Final = re.compile(
    rf"(?:{_VERSION}|.*/openai|.*/(?:deployments|engines)/{_NAME}|)"
    r"/(?:completions|embeddings|responses(?:(?:/[^/]+)?/compact|/input_tokens)?|realtime"
    r"|audio/(?:speech|transcriptions|translations)|images/(?:generations|edits|variations))"
    rf"|{_AZURE}/threads(?:/[^/]+)?/(?:runs|messages|runs/[^/]+/submit_tool_outputs)"
    # LiteLLM has them at the root, too; others call things messages of threads, or videos.
    r"|/threads(?:/[^/]+)?/runs|/moderations|/batches"
    # A batch runs what was uploaded before; whoever has a session's secret asks the model itself.
    rf"|{_AZURE}/(?:moderations|videos(?:/(?:generations|edits|extensions|[^/]+/remix))?"
    r"|video/generations(?:/jobs)?|batches|realtimeapi/sessions"
    r"|realtime/(?:sessions|(?:translations/)?client_secrets|transcription_sessions|translations"
    r"|(?:translations/)?calls(?:/[^/]+/accept)?)"
    # Mistral, Perplexity, Voyage.
    r"|chat/(?:moderations|classifications)|sonar|(?:multimodal|contextualized)embeddings"
    # vLLM.
    r"|generative_scoring|score|rerank|reranking|classify|pooling|tokenize|detokenize|(?:chat/)?completions/render)"
    r"|/(?:generative_scoring|score|rerank|reranking|classify|pooling|tokenize|detokenize)"
    # Chats made into prompts: llama.cpp, TGI.
    r"|/(?:apply-template|chat_tokenize)"
    # Where a model answers or grades what was uploaded before.
    rf"|{_AZURE}/(?:evals/[^/]+/runs|fine_tuning/alpha/graders/run)"
)
_ANTHROPIC: Final = re.compile(
    rf"{_VERSION}/(?:messages(?:/count_tokens|/batches)?|complete)|/messages(?:/count_tokens)?"
)
#: What Bedrock has done with a model, and all that it has.
_INVOKED: Final = (
    r"(?:invoke|invoke-with-response-stream|invoke-with-bidirectional-stream"
    r"|converse|converse-stream|count-tokens)"
)
_AMAZON: Final = (
    rf".*/model/[^/]+/{_INVOKED}"
    r"|/async-invoke|.*/agents/[^/]+/agentaliases/[^/]+/sessions/[^/]+/text"
    r"|.*/retrieveandgenerate(?:stream)?"
)
#: Gemini and Vertex, Bedrock, Ollama, Cohere, SageMaker, Triton, SGLang, TGI, TEI and llama.cpp.
_OTHER: Final = re.compile(
    r".*:(?:(?:stream)?generate(?:content|message|text|answer)|batchgeneratecontent|counttokens"
    r"|(?:batch)?embed(?:content|contents|text)|(?:stream)?(?:raw)?predict)"
    # Live, over a socket, and what is called over gRPC: names of methods behind a service.
    r"|.*[./](?:bidi|stream)?generate(?:content|music)(?:constrained)?"
    # Whatever else a model is told to do: `:predictLongRunning`, `:computeTokens`, …
    r"|.*/(?:(?:tuned)?models|endpoints|reasoningengines)/[^/:]+:[a-z]+"
    rf"|{_VERSION}/interactions"
    # SageMaker and Databricks; Cloudflare; GitHub and Azure; watsonx.
    r"|.*/(?:serving-)?endpoints/[^/]+/(?:async-)?invocations(?:-response-stream)?"
    r"|.*/ai/run/.+"
    r"|.*/(?:inference|models)/(?:images/)?embeddings|/images/embeddings"
    # Azure's models of others, in their own words.
    r"|.*/providers/(?:mistral/azure/ocr|blackforestlabs/.+)"
    rf"|{_VERSION}(?:/deployments/[^/]+)?"
    r"/text/(?:chat|generation|embeddings|rerank|tokenization)(?:_stream)?"
    # Snowflake; Alibaba.
    r"|.*/cortex/(?:inference|agent):[a-z]+"
    r"|.*/api/v1/(?:services/(?:aigc|embeddings|rerank|audio)/[^/]+/[^/]+|apps/[^/]+/completion)"
    rf"|{_AMAZON}"
    r"|(?:/ollama)?/api/(?:chat|generate|embed|embeddings)"
    # Mistral's agents; Kobold; and whatever ends like a call that generates: Replicate, fill in the
    # middle, batches of chats.
    rf"|{_VERSION}/conversations(?:/[^/]+(?:/restart)?)?"
    rf"|{_VERSION}/(?:ocr|batch/jobs)"
    # KServe's second protocol, as Triton extends it.
    r"|.*/v2/models/[^/]+(?:/versions/[^/]+)?/(?:infer|generate|generate_stream)"
    r"|/api/extra/generate/stream"
    r"|.*/(?:completions(?:/batch)?|predictions)"
    rf"|{_VERSION}/(?:chat|generate|embed)"
    r"|/(?:generate|generate_stream|generate/stream|vertex_generate|vertex|completion|infill"
    r"|invocations(?:-bidirectional-stream)?"
    r"|embedding|embed|embed_all|embed_sparse|encode|predict|similarity)"
)


def route(path: str, own: Callable[[str], bool] | None = None) -> Dialect | None:
    """The dialect of a model route, or None when the path reaches no model.

    `path` is canonical (`core.paths`). Case and a trailing slash do not matter: an upstream that
    ignores them must not be reached unguarded. `own` knows the policy's own (`compile_routes`); a
    path only it knows is `Dialect.OTHER` until headers or body say more.
    """
    low = path.casefold().rstrip("/")
    if low.endswith("/chat/completions"):
        return Dialect.OPENAI
    if low.endswith("/v1/messages"):
        return Dialect.ANTHROPIC
    if _OPENAI.fullmatch(low):
        return Dialect.OPENAI
    if _ANTHROPIC.fullmatch(low):
        return Dialect.ANTHROPIC
    if _OTHER.fullmatch(low):
        return Dialect.OTHER
    return Dialect.OTHER if own is not None and own(low or "/") else None


def compile_routes(globs: Sequence[str]) -> Callable[[str], bool]:
    """Path patterns as policies write them: `*` is one segment or a part of it, `**` any number."""
    return path_matcher([f"/{glob.strip('/')}" for glob in globs])


def by_headers(headers: Mapping[bytes, bytes]) -> Dialect:
    """The dialect of a request whose path says nothing: by the headers SDKs set."""
    if b"anthropic-version" in headers:
        return Dialect.ANTHROPIC
    if b"openai-organization" in headers or b"openai-beta" in headers:
        return Dialect.OPENAI
    if b"x-api-key" in headers and b"authorization" not in headers:
        return Dialect.ANTHROPIC
    return Dialect.OTHER


def by_client(path: str | None, headers: Mapping[bytes, bytes]) -> Dialect:
    """The dialect of a request that asks no model: by what its client is, at a canonical path."""
    if path is not None and own_words(path):
        return Dialect.OTHER
    found = by_headers(headers)
    # The SDKs of OpenAI and of many who speak its dialect. So do Anthropic's, which say more, but
    # for those of Bedrock and Vertex, and these only ask models.
    return Dialect.OPENAI if found is Dialect.OTHER and b"x-stainless-lang" in headers else found


def by_body(body: Mapping[str, Any]) -> Dialect:
    """The dialect of a body on a route of the policy's own."""
    if "messages" in body:
        if "anthropic_version" in body or "system" in body:
            return Dialect.ANTHROPIC
        return Dialect.OPENAI
    if "input" in body or ("prompt" in body and "model" in body):
        return Dialect.OPENAI
    return Dialect.OTHER


#: Ollama's, which stream unless told not to; and paths that do nothing else.
_BY_DEFAULT: Final = ("/api/chat", "/api/generate")
_ALWAYS: Final = (
    ":streamgeneratecontent", ":streamrawpredict", "/converse-stream", "/generate_stream",
    "/invoke-with-response-stream",
)  # fmt: skip


def streams(path: str | None, body: Mapping[str, Any]) -> bool:
    """Whether the answer on a path of neither OpenAI's nor Anthropic's is a stream.

    `path` is canonical, None when ambiguous; `body` says so in `stream` where the path does not.
    """
    low = (path or "").casefold().rstrip("/")
    if low.endswith(_BY_DEFAULT):
        return body.get("stream") is not False
    return low.endswith(_ALWAYS)


#: Google's model APIs, whatever they are mounted under; and Ollama's, whose words others use, too.
_GOOGLE: Final = re.compile(
    r".*/(?:(?:tuned)?models|endpoints)/[^/:]+:[a-z]+|.*/v[0-9]++(?:alpha|beta)[0-9]*+/.+"
    r"|.*/v[0-9]++/interactions"
)
_OLLAMA: Final = re.compile(r"(?:/ollama)?/api/(?:chat|generate|embed|embeddings|tags|show|ps)")


#: Bedrock's and SageMaker's.
_AWS: Final = re.compile(
    rf"{_AMAZON}|.*/endpoints/[^/]+/(?:async-)?invocations(?:-response-stream)?"
)


def aws(path: str) -> bool:
    """Whether a path is one of Amazon's, whatever the dialect of the body posted there."""
    return _AWS.fullmatch(path.casefold().rstrip("/")) is not None


def google(path: str) -> bool:
    """Whether a path of neither OpenAI's nor Anthropic's is one of Gemini's or Vertex's."""
    return _GOOGLE.fullmatch(path.casefold().rstrip("/")) is not None


def ollama(path: str) -> bool:
    """Whether a path of neither OpenAI's nor Anthropic's is one of Ollama's."""
    return _OLLAMA.fullmatch(path.casefold().rstrip("/")) is not None


#: Longest path remembered, characters: a table of longer ones would be as large as clients like.
_REMEMBERED: Final = 256


def own_words(path: str) -> bool:
    """Whether the path alone says that Google's or Ollama's clients ask, who read no other errors
    than theirs; their bodies and headers may well look like OpenAI's.

    Not so of raw predictions: what Vertex hands on to others' models is in their words.
    """
    return _remembered(path) if len(path) <= _REMEMBERED else _own_words(path)


def _own_words(path: str) -> bool:
    low = path.casefold().rstrip("/")
    return (google(path) or ollama(path)) and not low.endswith("rawpredict")


_remembered: Final = functools.lru_cache(maxsize=1024)(_own_words)


_MODEL: Final = re.compile(r"/(?:deployments|models|model)/([^/:]+)", re.IGNORECASE)
#: Azure; old OpenAI; Bedrock, whose names have colons; Replicate, whose names have an owner; Gemini
#: and Vertex; SageMaker and Databricks; Cloudflare.
_DECIDING: Final = re.compile(
    rf".*/(?:deployments|engines)/({_NAME})/(?:(?:extensions/)?chat/completions|completions|embeddings"
    r"|responses|audio/[a-z]+|images/[a-z]+)"
    rf"|.*/model/([^/]+)/{_INVOKED}"
    r"|.*/(?:models|deployments)/([^/]+/[^/]+)/predictions"
    r"|.*/deployments/([^/]+)/text/[a-z]+(?:_stream)?"
    r"|.*/v2/models/([^/]+)(?:/versions/[^/]+)?/(?:infer|generate|generate_stream)"
    r"|.*/(?:(?:tuned)?models|endpoints|reasoningengines)/([^/:]+(?:/[^/:]+){0,3}):[a-z]+"
    r"|.*/(?:serving-)?endpoints/([^/]+)/(?:async-)?invocations(?:-response-stream)?"
    r"|.*/ai/run/(.+)",
    re.IGNORECASE,
)


def model_by_path(path: str) -> str | None:
    """The model a path like `/v1beta/models/NAME:generateContent` decides on, whatever the body.

    None where the body decides, as below `/models/…` of somebody's own.
    """
    found = _DECIDING.fullmatch(path.rstrip("/"))
    if found is None or found.lastindex is None:
        return None
    # Of an ARN (`core.paths`).
    return found[found.lastindex].replace("%2F", "/")


def model_in_path(path: str) -> str | None:
    """The model some path names, for a body that names none; None when neither does."""
    found = _MODEL.search(path)
    return found[1] if found is not None else None
