"""Whether a YAML file is meant as a policy, and what else it may be."""

from __future__ import annotations

import re
from typing import Final

from yaml.nodes import MappingNode, Node

from gateway_guard.policy.schema import KEYS

#: Keys of policies that others have at their top, too, with other things below.
_USUAL: Final = frozenset(("version", "mode", "default", "headers"))
_KEY: Final = re.compile(r"""["']?([A-Za-z_]+)["']?[ ]*:""")
_VERSION: Final = re.compile(r"""["']?version["']?[ ]*:[ ]*["']?1["']?[ ]*(?:[,}#\r\n]|$)""")


def is_policy(source: bytes) -> bool:
    """Whether a file looks like a policy: by its version, or by a key that only policies have.

    Not by reading it as YAML, because one with a mistake is still meant as one, and many templates
    are no YAML. When in doubt it is one, and `check` says what it lacks.
    """
    lines = source.decode("utf-8-sig", "replace").splitlines()
    told = [line for line in lines if line.strip() and not line.lstrip().startswith(_NOTHING)]
    if not told:
        return False
    if told[0].lstrip().startswith("{"):
        return _VERSION.search("\n".join(told)) is not None
    margin = told[0][: len(told[0]) - len(told[0].lstrip())]
    for line in told:
        text = line.removeprefix(margin)
        key = _KEY.match(text)
        if key is None or not line.startswith(margin):
            continue
        if key[1] in _OWN or _VERSION.match(text):
            return True
    return False


def mistaken(root: Node) -> tuple[str, str] | None:
    """What a document is that somebody named where a policy is asked for, and what to do with it.

    Only where it has no `version` and a key that is the other's alone: None for all that may be a
    policy with mistakes, and then they are said one by one.
    """
    if not isinstance(root, MappingNode):
        return None
    keys = {key.value for key, _ in root.value if isinstance(key.value, str)}
    if "version" in keys:
        return None
    return next((told for own, told in _OTHERS.items() if own in keys), None)


_A_REQUEST: Final = (
    "this is a described request, not a policy",
    "`gateway-guard explain REQUEST --policy POLICY` decides it",
)
_OTHERS: Final = {
    "cases": (
        "these are policy tests, not a policy",
        "`gateway-guard test` runs them; the policy is the file their `policy` names",
    ),
    "body": _A_REQUEST,
    "history": _A_REQUEST,
}
_OWN: Final = frozenset(KEYS["policy"]) - _USUAL
#: Comments, ends of documents, directives and lines of templates.
_NOTHING: Final = ("#", "---", "...", "%", "{{")
