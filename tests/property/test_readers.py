"""What other people write, made up rightly and in every spelling: each reader gives back what was
meant. What happens to everything else, `tests/fuzz` says."""

from __future__ import annotations

import ipaddress
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_guard.core.client_ip import Trust, forwarded, forwarded_for
from gateway_guard.core.tokens import verify
from gateway_guard.core.usage import UsageReader
from gateway_guard.intel.networks import Limits
from gateway_guard.intel.stix_reading import read_bundle, taken
from gateway_guard.network.lists import parse_ranges
from gateway_guard.policy import units
from gateway_guard.types import CredentialFault, Dialect, Outcome
from tests import build
from tests.fuzz.taken import cut
from tests.fuzz.targets.jwt_tokens import _SOURCE, signed, sound

_UNITS: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
#: Clients of the Internet, and hops that are trusted; no transition addresses, which unwrap.
_CLIENTS: Final = st.one_of(
    st.ip_addresses(network="198.51.100.0/24"), st.ip_addresses(network="2a00:1450::/32")
)
_HOPS: Final = st.one_of(
    st.ip_addresses(network="10.0.0.0/8"), st.ip_addresses(network="2001:db8::/64")
)
_TRUST: Final = Trust([ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("2001:db8::/64")])
_WHITE: Final = st.sampled_from(["", " ", "\t", " \t "])
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@given(
    st.integers(1, units.MAX_AMOUNT), st.integers(1, 999), st.sampled_from(sorted(_UNITS)),
    st.sampled_from(["/", " / ", " per "]), st.booleans(),
)  # fmt: skip
def test_rates_mean_what_they_say(
    amount: int, count: int, unit: str, per: str, plural: bool
) -> None:
    read = units.rate(f"{amount}{per}{count} {unit}{'s' if plural else ''}")

    assert read == (amount, count * _UNITS[unit])


def _spelled(address: Address, data: st.DataObject, *, ports: bool) -> str:
    """An address as one hop or another writes it."""
    text = str(address)
    if isinstance(address, ipaddress.IPv6Address):
        text = data.draw(st.sampled_from([text, text.upper(), address.exploded]))
        forms = [text] + ([f"[{text}]", f"[{text}]:443"] if ports else [])
    else:
        forms = [text, f"::ffff:{text}"] + ([f"{text}:65535"] if ports else [])
    return data.draw(st.sampled_from(forms))


@settings(max_examples=60)
@given(_CLIENTS, st.lists(_HOPS, max_size=5), st.binary(max_size=30), st.data())
def test_the_client_stands_left_of_the_trusted_hops_whatever_it_wrote_itself(
    client: Address, hops: list[Address], forged: bytes, data: st.DataObject
) -> None:
    chain = [_spelled(one, data, ports=True) for one in (client, *hops)]
    plain = (data.draw(_WHITE) + "," + data.draw(_WHITE)).join(chain).encode()
    elements = []
    for one in chain:
        quoted = ":" in one or data.draw(st.booleans())
        name = data.draw(st.sampled_from(["for", "For", "FOR"]))
        node = one if "]" in one or one.count(":") < 2 else f"[{one}]"
        more = data.draw(st.sampled_from(["", ";proto=https", ';by="10.0.0.1"', ' ; host="a,b"']))
        elements.append(f'{name}="{node}"{more}' if quoted else f"{name}={node}{more}")
    standard = ", ".join(elements).encode()

    for lines in ([plain], [forged, plain], [forged + b"," + plain], plain.split(b",")):
        assert forwarded_for(lines, _TRUST)[0] == str(client)
    for lines in ([standard], [forged, standard], [forged + b", " + standard]):
        assert forwarded(lines, _TRUST)[0] == str(client)


_NETWORKS: Final = st.one_of(
    st.tuples(st.ip_addresses(v=4), st.integers(8, 32)),
    st.tuples(st.ip_addresses(network="2000::/3"), st.integers(16, 128)),
).map(lambda found: ipaddress.ip_network(f"{found[0]}/{found[1]}", strict=False))


@settings(max_examples=60)
@given(st.lists(_NETWORKS, min_size=1, max_size=8), st.data())
def test_a_list_names_the_networks_written_in_it_in_any_of_the_forms_of_the_wild(
    networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network], data: st.DataObject
) -> None:
    lines: list[str] = []
    for network in networks:
        lines += data.draw(st.lists(st.sampled_from(["", "# 10.0.0.0/8", "; x", "  "]), max_size=1))
        tail = data.draw(st.sampled_from(["", " ", " # vpn", ";x", ",a,b", "\r"]))
        quote = data.draw(st.sampled_from(["", '"']))
        lines.append(f"{quote}{network}{quote}{tail}")
    mark = data.draw(st.sampled_from(["", "\ufeff"]))

    found = parse_ranges((mark + "\n".join(lines)).encode(), "list")

    assert found == [(int(one.network_address), int(one.broadcast_address)) for one in networks]


_CLAIMS: Final = st.fixed_dictionaries(
    {"sub": st.text("ab1", min_size=1, max_size=9), "iss": st.just("i"), "aud": st.just("a")},
    optional={"exp": st.just(2e9), "nbf": st.just(5), "x": st.text(max_size=5)},
)


@settings(max_examples=60)
@given(_CLAIMS, st.integers(0, 10_000), st.integers(0, 255))
def test_a_token_names_its_subject_and_changed_anywhere_nobody_else(
    claims: dict[str, Any], at: int, byte: int
) -> None:
    token = signed(b'{"alg":"HS256"}', msgspec.json.encode(claims))
    spot = at % len(token)
    changed = token[:spot] + bytes((byte,)) + token[spot + 1 :]

    assert verify(token, _SOURCE, {}, 1e9) == (claims["sub"], None)
    found = verify(changed, _SOURCE, {}, 1e9)
    # The last character of a signature has two bits that nobody reads.
    assert isinstance(found, CredentialFault) or (sound(changed) and found.name == claims["sub"])


_WIDE: Final = st.one_of(
    st.tuples(st.ip_addresses(network="81.0.0.0/8"), st.integers(24, 32)),
    st.tuples(st.ip_addresses(network="2a00::/16"), st.integers(48, 128)),
).map(lambda found: ipaddress.ip_network(f"{found[0]}/{found[1]}", strict=False))


@settings(max_examples=60)
@given(st.lists(_WIDE, min_size=1, max_size=5, unique=True), st.integers(0, 100), st.data())
def test_an_indicator_is_taken_in_for_every_network_its_pattern_names(
    networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network],
    confidence: int,
    data: st.DataObject,
) -> None:
    parts = [
        f"{data.draw(_WHITE)}ipv{one.version}-addr:value"
        f" {data.draw(st.sampled_from(['=', 'ISSUBSET']))} '{one}'{data.draw(_WHITE)}"
        for one in networks
    ]
    joint = data.draw(st.sampled_from([" OR ", "] OR ["]))
    bundle = {
        "type": "bundle",
        "objects": [
            {
                "type": "indicator", "id": "indicator--1", "confidence": confidence,
                "pattern_type": "stix", "pattern": f"[{joint.join(parts)}]",
                "valid_from": "2026-03-01T00:00:00Z", "valid_until": "2026-12-01T00:00:00.5Z",
            }
        ],
    }  # fmt: skip

    found = taken(
        read_bundle(msgspec.json.encode(bundle)), now=build.NOW, limits=Limits()
    ).indicators

    assert [one.value for one in found] == [str(one) for one in networks]
    assert {one.confidence for one in found} == {confidence}


@settings(max_examples=60)
@given(
    st.lists(st.text(max_size=8), max_size=6), st.integers(0, 10**9), st.integers(0, 10**9),
    st.sampled_from(["\n", "\r\n"]), st.booleans(), st.binary(max_size=12), st.data(),
)  # fmt: skip
def test_the_usage_of_a_stream_is_read_between_comments_and_names_wherever_it_is_cut(
    texts: list[str], read: int, written: int, end: str, named: bool, where: bytes,
    data: st.DataObject,
) -> None:  # fmt: skip
    counts = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
    said: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": {"content": text}}], "usage": None} for text in texts
    ]
    events = []
    for one in (*said, {"choices": [], "usage": counts}):
        head = f"event: chunk{end}" if named else ""
        head += data.draw(st.sampled_from(["", f": ping{end}", f"id: 7{end}"]))
        events.append(head + "data: " + msgspec.json.encode(one).decode() + end + end)
    shown = [*events[:-1], f"data: [DONE]{end}{end}"]
    body = "".join([*events, shown[-1]]).encode()
    reader = UsageReader(Dialect.OPENAI, content_type=b"text/event-stream", hide_usage_chunk=True)

    passed = b"".join([*map(reader.feed, cut(body, where)), reader.finish()])
    usage = reader.usage(Outcome.COMPLETED, 200)

    assert (usage.input_tokens, usage.output_tokens, usage.reported) == (read, written, True)
    assert passed == "".join(shown).encode()


@pytest.mark.parametrize("unit", sorted(_UNITS))
def test_a_rate_of_nothing_is_refused(unit: str) -> None:
    with pytest.raises(ValueError, match="grants nothing"):
        units.rate(f"0/{unit}")
