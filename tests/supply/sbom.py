"""`python -m tests.supply.sbom`: writes `gateway-guard.cdx.json`, which the wheel carries.

It lies in `.dist-info/sboms` there (PEP 770): a CycloneDX list of what the wheel holds that others
made (the network data, whose sources are in its NOTICE) and of what it asks pip to install. It
comes from `pyproject.toml` and the files alone: nothing installed here is in it, and it is the same
wherever it is made.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gateway_guard import __version__

ROOT: Final = Path(__file__).resolve().parent.parent.parent
FILE: Final = ROOT / "gateway-guard.cdx.json"
DATA: Final = "gateway_guard/data/network.mmdb"

#: Of the network data, as its NOTICE says in more words: what is in it → licence, where it is from.
SOURCES: Final = {
    "ip-location-db geo-whois-asn-country": ("CC0-1.0", "https://github.com/sapics/ip-location-db"),
    "IPtoASN country": ("PDDL-1.0", "https://iptoasn.com"),
    "ip-location-db asn": ("CC-BY-4.0", "https://github.com/sapics/ip-location-db"),
    "RouteViews IP to AS number": ("CC-BY-4.0", "https://www.routeviews.org"),
    "DB-IP IP to ASN Lite": ("CC-BY-4.0", "https://db-ip.com"),
    "NRO statistics": ("CC-BY-4.0", "https://www.nro.net"),
    "X4BNet lists_vpn": ("MIT", "https://github.com/X4BNet/lists_vpn"),
    "lord-alfred ipranges": ("CC0-1.0", "https://github.com/lord-alfred/ipranges"),
    "alireza-rezaee tor-nodes": ("MIT", "https://github.com/alireza-rezaee/tor-nodes"),
    "monosans proxy-list": ("MIT", "https://github.com/monosans/proxy-list"),
}


def document() -> dict[str, Any]:
    """The list, as JSON has it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    own = f"pkg:pypi/{project['name']}@{__version__}"
    libraries = _libraries(project)
    refs = [*libraries, DATA]
    sources = [_source(name, *about) for name, about in SOURCES.items()]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "library",
                "bom-ref": own,
                "name": project["name"],
                "version": __version__,
                "description": project["description"],
                "licenses": [{"license": {"id": project["license"]}}],
                "purl": own,
            }
        },
        "components": [*(libraries[name] for name in sorted(libraries)), _data(sources)],
        "dependencies": [
            {"ref": own, "dependsOn": sorted(refs)},
            *({"ref": ref, "dependsOn": []} for ref in sorted(libraries)),
            {"ref": DATA, "dependsOn": []},
        ],
    }


def text() -> str:
    """As it is written."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def _libraries(project: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What pip is asked for, by reference; each requirement of a library is named."""
    asked = [("", one) for one in project["dependencies"]]
    for extra, wanted in project["optional-dependencies"].items():
        asked += [(extra, one) for one in wanted if Requirement(one).name != project["name"]]
    found: dict[str, dict[str, Any]] = {}
    for extra, line in asked:
        name = canonicalize_name(Requirement(line).name)
        ref = f"pkg:pypi/{name}"
        entry = found.setdefault(
            ref,
            {"type": "library", "bom-ref": ref, "name": name, "scope": "optional",
             "purl": ref, "properties": []},
        )  # fmt: skip
        if not extra:
            entry["scope"] = "required"
        where = f"gateway-guard:requirement{f':{extra}' if extra else ''}"
        entry["properties"].append({"name": where, "value": line})
    return found


def _data(sources: list[dict[str, Any]]) -> dict[str, Any]:
    raw = (ROOT / DATA).read_bytes()
    notice = (ROOT / "gateway_guard" / "data" / "NOTICE").read_text("utf-8")
    built = re.search(r"build date (\d{4}-\d\d-\d\d)", notice)
    assert built is not None
    return {
        "type": "data",
        "bom-ref": DATA,
        "name": DATA,
        "version": built[1],
        "scope": "required",
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(raw).hexdigest()}],
        "components": sources,
    }


def _source(name: str, licence: str, url: str) -> dict[str, Any]:
    return {
        "type": "data",
        "bom-ref": name,
        "name": name,
        "licenses": [{"license": {"id": licence}}],
        "externalReferences": [{"type": "distribution", "url": url}],
    }


if __name__ == "__main__":
    FILE.write_text(text(), "utf-8")
