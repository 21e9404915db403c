"""The comparison's own arithmetic and words; the measuring itself is `make bench-peers`."""

from __future__ import annotations

import json
import os
from xml.etree import ElementTree as ET

import msgspec
import pytest

from tests.peers import child, in_process, proxies
from tests.peers.__main__ import arguments, machine
from tests.peers.catalogue import EVERYBODY, IN_PROCESS, PROXIES, InProcess
from tests.peers.environments import CannotInstallError, Environment, program
from tests.peers.figures import Figure, Results, Row
from tests.peers.load import FailedError, answer_end, length_of, request
from tests.peers.plot import decades, picture
from tests.peers.processes import cpu, descendants, memory, parent_in, pss_in
from tests.peers.proxies import version_in
from tests.peers.table import cell, number, page, ratio
from tests.peers.upstream import Asked

ADDED, REQUEST = in_process.ADDED, proxies.REQUEST
#: Whom the comparison is about.
NAMED = (
    *("slowapi", "fastapi-guard", "fastapi-limiter", "asgi-ratelimit", "throttled-py"),
    *("LiteLLM", "unmimic", "nginx", "HAProxy", "Caddy", "Envoy"),
)


def results(**missing: str) -> Results:
    """Figures for everybody but those who are missing."""

    def row(name: str, what: str, value: float) -> Row:
        if name in missing:
            return Row(name=name, missing=missing[name])
        return Row(name=name, version="1.2.3", figures={what: Figure((value, value, 2 * value))})

    return Results(
        state="Measured on a day",
        machine="two processors",
        in_process=tuple(
            row(peer.name, ADDED, 10.0 + turn) for turn, peer in enumerate(IN_PROCESS)
        ),
        proxies=tuple(row(proxy.name, REQUEST, 50.0 + turn) for turn, proxy in enumerate(PROXIES)),
    )


def test_a_figure_is_the_median_with_the_quartiles() -> None:
    figure = Figure((5.0, 1.0, 2.0, 3.0, 4.0))

    assert (figure.median, figure.quartiles) == (3.0, (2.0, 4.0))


def test_of_two_rounds_both_are_shown() -> None:
    assert Figure((3.0, 1.0)).quartiles == (1.0, 3.0)


def test_no_round_is_no_figure() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        Figure(())


def test_rounds_are_compared_with_those_of_the_same_turn() -> None:
    slow, fast = Figure((20.0, 40.0)), Figure((10.0, 20.0))

    assert slow.over(fast) == Figure((2.0, 2.0))
    assert slow.over(Figure((10.0,))) is None
    assert slow.over(Figure((10.0, 0.0))) is None


@pytest.mark.parametrize(
    ("value", "shown"), [(4.567, "4.57"), (45.67, "45.7"), (456.7, "457"), (170506.0, "170,506")]
)
def test_figures_have_three_digits(value: float, shown: str) -> None:
    assert number(value) == shown


def test_one_round_has_no_spread() -> None:
    assert cell(Figure((12.0,))) == "12.0"
    assert cell(Figure((12.0, 13.0, 14.0))) == "13.0 [12.5, 13.5]"
    assert cell(None) == "–"


def test_a_ratio_is_between_medians_and_missing_without_one() -> None:
    ours = Row(name="ours", figures={ADDED: Figure((20.0,))})
    other = Row(name="other", figures={ADDED: Figure((50.0,))})

    assert ratio(other, ours, ADDED) == "2.50 ×"
    assert ratio(other, None, ADDED) == "–"
    assert ratio(Row(name="none"), ours, ADDED) == "–"


@pytest.mark.parametrize("name", NAMED)
def test_every_peer_is_in_the_catalogue(name: str) -> None:
    known = [peer.name for peer in EVERYBODY]

    assert any(one.startswith(name) for one in known)


def test_no_name_stands_for_two() -> None:
    for names in ([peer.name for peer in IN_PROCESS], [proxy.name for proxy in PROXIES]):
        assert len(set(names)) == len(names)


@pytest.mark.parametrize("one", IN_PROCESS, ids=lambda one: one.name)
def test_every_peer_in_process_can_be_built(one: InProcess) -> None:
    assert callable(child.peer(one.name))


def test_what_is_installed_is_pinned() -> None:
    installed = [
        package
        for one in EVERYBODY
        if one.environment is not None
        for package in one.environment.packages
    ]

    assert installed
    assert [package for package in installed if "==" not in package] == []


def test_every_peer_has_a_row_and_says_what_it_does() -> None:
    text = page(results())

    for one in EVERYBODY:
        assert f"| {one.name} 1.2.3 |" in text
        assert one.does in text


def test_a_peer_that_does_not_run_has_a_row_and_says_why() -> None:
    text = page(results(slowapi="it is not to be had", Envoy="envoy is not installed"))

    assert "| slowapi | – | – |" in text
    assert "* slowapi: it is not to be had" in text
    assert "* Envoy: envoy is not installed" in text


def test_a_note_stands_beside_its_figure() -> None:
    row = Row(
        name="unmimic", figures={proxies.HELD: Figure((90.0,))}, notes={proxies.HELD: "at 100"}
    )

    text = page(Results(state="s", machine="m", proxies=(row,)))

    assert "| 90.0 (at 100) |" in text


def test_the_picture_is_a_document_that_shows_everybody() -> None:
    svg = picture(results(slowapi="it is not to be had"))

    root = ET.fromstring(svg)
    texts = ["".join(element.itertext()) for element in root.iter() if element.tag.endswith("text")]

    assert "asgi-ratelimit" in texts
    assert "Envoy" in texts
    assert "slowapi" not in texts


def test_scales_hold_what_is_on_them() -> None:
    assert decades(4.5, 170_000.0) == [1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6]
    assert decades(10.0, 10.0) == [10.0, 100.0]


def test_results_survive_being_kept() -> None:
    kept = msgspec.json.encode(results(slowapi="why"))

    assert msgspec.json.decode(kept, type=Results) == results(slowapi="why")


def test_an_answer_ends_where_its_length_says() -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nx: y\r\n\r\nabc"

    assert answer_end(answer + b"HTTP") == len(answer)
    assert answer_end(answer[:-1]) is None
    assert answer_end(answer[:20]) is None


def test_a_chunked_answer_ends_with_its_last_chunk() -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"

    assert answer_end(answer) == len(answer)
    assert answer_end(answer[:-2]) is None


def test_any_other_answer_is_no_measurement() -> None:
    with pytest.raises(FailedError, match="429"):
        length_of(b"HTTP/1.1 429 Too Many Requests\r\n")


def test_the_upstream_reads_what_the_load_asks() -> None:
    raw = request(7, events=200)

    head, _, body = raw.partition(b"\r\n\r\n")

    assert b"Authorization: Bearer sk-00000007" in head
    assert f"Content-Length: {len(body)}".encode() in head
    assert len(body) > 2000
    assert msgspec.json.decode(body, type=Asked) == Asked(stream=True, max_tokens=200)
    assert "stream" not in json.loads(request(7).partition(b"\r\n\r\n")[2])


def test_a_program_is_all_it_started() -> None:
    assert descendants(1, {2: 1, 3: 2, 4: 1, 5: 9}) == [1, 2, 4, 3]


def test_a_process_may_call_itself_anything() -> None:
    assert parent_in("42 (a) b (c) S 7 42 42 0") == 7


def test_memory_is_what_the_kernel_says() -> None:
    assert pss_in("00-ff rollup\nRss:    900 kB\nPss:    204 kB\n") == 204 * 1024
    with pytest.raises(ValueError, match="no Pss"):
        pss_in("Rss: 1 kB\n")


def test_a_process_that_runs_uses_processor_and_memory() -> None:
    me = [os.getpid()]

    assert cpu(me) > 0.0
    assert memory(me) > 1_000_000


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("nginx version: nginx/1.22.1", "1.22.1"),
        ("HAProxy version 2.6.12-1+deb12u3 2025/10/03 - https://haproxy.org/", "2.6.12"),
        ("v2.11.7 h1:abc=", "2.11.7"),
        ("envoy  version: 7f2/1.40.0/Clean/RELEASE/BoringSSL", "1.40.0"),
        ("nothing of the kind", ""),
    ],
)
def test_versions_are_found(text: str, version: str) -> None:
    assert version_in(text) == version


def test_a_program_that_is_not_there_is_said_to_be() -> None:
    with pytest.raises(CannotInstallError, match="no-such-program is not installed"):
        program("no-such-program")


def test_an_environment_nobody_made_says_who_makes_it() -> None:
    with pytest.raises(CannotInstallError, match="`make compiled`"):
        Environment("compiled", (), "/nowhere/python").python()


def test_the_readme_gets_whole_comparisons_only(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        arguments(["--readme", "--only", "nginx"])

    assert "--readme goes with a whole comparison only" in capsys.readouterr().err


def test_the_machine_is_named() -> None:
    assert machine("model name\t: AMD EPYC\n", 2).startswith("2 processors (AMD EPYC), Python 3.")
