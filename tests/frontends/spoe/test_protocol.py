"""One connection without a socket: greetings, questions, goodbyes, and what is none of these."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_guard.frontends.spoe import data
from gateway_guard.frontends.spoe.data import Data, Malformed, string
from gateway_guard.frontends.spoe.frames import (
    ABORT,
    ACK,
    AGENT_DISCONNECT,
    AGENT_HELLO,
    FIN,
    HAPROXY_HELLO,
    UNSET,
    Frame,
    Message,
    frame,
    messages,
    pairs,
    read_actions,
    read_frame,
    read_messages,
    read_pairs,
    set_variable,
)
from gateway_guard.frontends.spoe.protocol import LEAST, MOST, Agent, Code, Ended, Event, Notify
from tests.frontends.spoe.speaking import asking, chat, frames, goodbye, hello, notify, said
from tests.frontends.spoe.test_data import VALUES

NAMES = st.binary(max_size=20)
MESSAGES = st.lists(
    st.builds(Message, NAMES, st.lists(st.tuples(NAMES, VALUES), max_size=5).map(tuple)), max_size=3
).map(tuple)
IDS = st.integers(0, 2**64 - 1)


def events(agent: Agent) -> list[Event]:
    found = []
    while (event := agent.next_event()) is not None:
        found.append(event)
    return found


def talk(*received: bytes, max_frame: int = MOST) -> tuple[Agent, list[Event], list[Frame]]:
    """An agent that was sent this, what it made of it, and what it sent."""
    agent = Agent(max_frame=max_frame)
    found = []
    for some in received:
        agent.receive(some)
        found += events(agent)
    return agent, found, frames(agent.data_to_send())


def ended(*received: bytes, max_frame: int = MOST) -> int:
    """The code an agent ends the connection with; the same in its event and its frame."""
    agent, found, sent = talk(*received, max_frame=max_frame)
    last = found[-1]
    assert isinstance(last, Ended)
    assert not last.by_peer
    assert last.message
    assert (sent[-1].kind, sent[-1].stream, sent[-1].frame) == (AGENT_DISCONNECT, 0, 0)
    assert said(sent[-1]) == {"status-code": last.code, "message": last.message.encode()}
    assert agent.ended
    return last.code


# -- frames ---------------------------------------------------------------------------------------


@given(st.integers(0, 255), IDS, IDS, st.binary(max_size=64), st.integers(0, 2**32 - 1))
def test_a_frame_is_read_back(
    kind: int, stream: int, number: int, payload: bytes, flags: int
) -> None:
    written = frame(kind, stream, number, payload, flags=flags)

    assert int.from_bytes(written[:4], "big") == len(written) - 4
    assert read_frame(written[4:]) == Frame(kind, flags, stream, number, payload)


@given(MESSAGES)
def test_messages_are_read_back(sent: tuple[Message, ...]) -> None:
    assert read_messages(messages(sent)) == sent


@given(st.dictionaries(NAMES, VALUES, max_size=6))
def test_pairs_and_variables_are_read_back(values: dict[bytes, Data]) -> None:
    actions = b"".join(set_variable(name, data.typed(*value)) for name, value in values.items())

    assert read_pairs(pairs(values)) == values
    assert read_actions(actions) == values


@given(st.binary(max_size=80))
def test_no_payload_makes_reading_fail_in_another_way(noise: bytes) -> None:
    for read in (read_pairs, read_messages, read_actions, read_frame):
        try:
            read(noise)
        except Malformed:
            continue


# -- the hello ------------------------------------------------------------------------------------


def test_haproxys_hello_is_answered_with_version_size_and_pipelining() -> None:
    agent, found, sent = talk(hello())

    assert found == []
    (reply,) = sent
    assert (reply.kind, reply.flags, reply.stream, reply.frame) == (AGENT_HELLO, FIN, 0, 0)
    assert said(reply) == {
        "version": b"2.0", "max-frame-size": 16380, "capabilities": b"pipelining",
    }  # fmt: skip
    assert agent.open


@pytest.mark.parametrize(("theirs", "ours", "agreed"), [(4096, 9000, 4096), (90000, 9000, 9000)])
def test_the_lower_frame_size_counts(theirs: int, ours: int, agreed: int) -> None:
    agent, _, sent = talk(hello(max_frame_size=(data.UINT32, theirs)), max_frame=ours)

    assert said(sent[0])["max-frame-size"] == agent.max_frame == agreed


def test_pipelining_is_not_claimed_where_haproxy_does_not_offer_it() -> None:
    _, _, sent = talk(hello(capabilities=(data.STRING, b"async")))

    assert said(sent[0])["capabilities"] == b""


@pytest.mark.parametrize("versions", [b"2.0", b"1.0, 2.0", b" 2.3 ,3.0"])
def test_any_minor_version_of_2_will_do(versions: bytes) -> None:
    agent, _, _ = talk(hello(supported_versions=(data.STRING, versions)))

    assert agent.open


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("supported_versions", None, Code.NO_VERSION),
        ("max_frame_size", None, Code.NO_SIZE),
        ("capabilities", None, Code.NO_CAPABILITIES),
        ("supported_versions", (data.STRING, b"1.0"), Code.BAD_VERSION),
        ("supported_versions", (data.STRING, b"3.0,x,20"), Code.BAD_VERSION),
        ("supported_versions", (data.UINT32, 2), Code.INVALID),
        ("max_frame_size", (data.UINT32, LEAST - 1), Code.BAD_SIZE),
        ("max_frame_size", (data.STRING, b"16380"), Code.INVALID),
    ],
)
def test_a_hello_that_lacks_something_is_told_what(
    name: str, value: Data | None, code: Code
) -> None:
    assert ended(hello(**{name: value})) == code


def test_a_health_check_is_greeted_and_over_without_a_goodbye() -> None:
    agent, found, sent = talk(hello(healthcheck=(data.BOOL, True)))

    assert [one.kind for one in sent] == [AGENT_HELLO]
    assert found == [Ended(0, "health check", by_peer=True)]
    assert agent.ended


def test_a_flag_that_says_no_health_check_changes_nothing() -> None:
    assert talk(hello(healthcheck=(data.BOOL, False)))[0].open


@pytest.mark.parametrize(
    "received",
    [
        [notify(asking())],
        [hello(), hello()],
        [frame(HAPROXY_HELLO, 1, 0, b"")],
        [hello(), frame(ACK, 1, 1, b"")],
        [hello(), frame(AGENT_DISCONNECT, 0, 0, b"")],
        [hello(), b"\0\0\0\3abc"],
        [hello(), notify(payload=b"\x03abc")],
        [hello(), notify(payload=b"\x03abc\x02")],
        [frame(HAPROXY_HELLO, 0, 0, string(b"max-frame-size"))],
        [frame(HAPROXY_HELLO, 0, 0, (string(b"a") + b"\0") * 2)],
        [hello(), notify(asking()), notify(asking())],
    ],
)
def test_frames_that_are_none_or_out_of_turn_end_the_connection(received: list[bytes]) -> None:
    assert ended(*received) == Code.INVALID


def test_frames_above_the_agreed_size_end_the_connection_before_they_have_arrived() -> None:
    agreed = hello(max_frame_size=(data.UINT32, 2000))

    assert ended(agreed, (2001).to_bytes(4, "big")) == Code.TOO_BIG
    assert ended((2**32 - 1).to_bytes(4, "big")) == Code.TOO_BIG
    assert talk(agreed, (2000).to_bytes(4, "big"))[1] == []


def test_fragments_are_not_taken() -> None:
    assert ended(hello(), notify(asking(), flags=0)) == Code.FRAGMENTED
    assert ended(hello(), frame(UNSET, 1, 1, b"")) == Code.FRAGMENTED


def test_unknown_kinds_of_frames_are_skipped() -> None:
    _, found, _ = talk(hello(), frame(77, 3, 4, b"whatever"), notify(asking()))

    assert [type(event) for event in found] == [Notify]


# -- questions and answers ------------------------------------------------------------------------


def test_questions_are_answered_in_any_order() -> None:
    agent, found, _ = talk(
        hello(), *(notify(asking(), stream=number, number=7) for number in (1, 2, 3))
    )
    for event in reversed(found):
        assert isinstance(event, Notify)
        agent.acknowledge(event, b"")

    acknowledged = frames(agent.data_to_send())
    assert [(one.kind, one.stream, one.frame) for one in acknowledged] == [
        (ACK, 3, 7), (ACK, 2, 7), (ACK, 1, 7),
    ]  # fmt: skip
    assert agent.waiting == 0
    assert agent.data_to_send() == b""


def test_the_same_numbers_may_come_again_once_answered() -> None:
    agent, found, _ = talk(hello(), notify(asking()))
    (first,) = found
    assert isinstance(first, Notify)
    agent.acknowledge(first, b"")
    agent.receive(notify(asking()))

    assert events(agent) == [first]


def test_an_aborted_whole_question_is_still_answered() -> None:
    assert len(talk(hello(), notify(asking(), flags=FIN | ABORT))[1]) == 1


def test_a_question_is_answered_once() -> None:
    agent, (event,), _ = talk(hello(), notify(asking()))
    assert isinstance(event, Notify)
    agent.acknowledge(event, b"")

    with pytest.raises(ValueError, match="nobody waits"):
        agent.acknowledge(event, b"")


def test_an_answer_may_fill_the_frame_and_no_more() -> None:
    agent, (event,), _ = talk(
        hello(max_frame_size=(data.UINT32, LEAST)), notify(asking(), stream=2**64 - 1)
    )
    assert isinstance(event, Notify)

    with pytest.raises(ValueError, match="room for"):
        agent.acknowledge(event, b"x" * (agent.room + 1))
    agent.acknowledge(event, b"x" * agent.room)

    assert len(agent.data_to_send()) - 4 <= LEAST


def test_nothing_is_read_ahead_of_who_asks() -> None:
    agent = Agent()
    agent.receive(hello() + notify(asking(), stream=1) + notify(asking(), stream=2))

    first = agent.next_event()

    assert isinstance(first, Notify)
    assert (first.stream, agent.waiting) == (1, 1)


@given(st.lists(st.integers(1, 400), max_size=12))
def test_it_does_not_matter_how_the_bytes_are_cut(cuts: list[int]) -> None:
    whole = hello() + notify(asking(body=chat())) + notify(asking(), stream=9) + goodbye()
    pieces, at = [], 0
    for cut in cuts:
        pieces.append(whole[at : at + cut])
        at += cut
    pieces.append(whole[at:])

    agent, found, sent = talk(*pieces)

    assert [type(event) for event in found] == [Notify, Notify, Ended]
    assert [one.kind for one in sent] == [AGENT_HELLO, AGENT_DISCONNECT]
    assert agent.ended


@given(st.binary(max_size=200), st.booleans())
def test_no_bytes_break_the_agent(noise: bytes, greeted: bool) -> None:
    agent = Agent()
    agent.receive((hello() if greeted else b"") + noise)

    events(agent)

    frames(agent.data_to_send())
    assert agent.next_event() is None


# -- goodbyes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 2, 99])
def test_haproxys_goodbye_is_returned_and_says_nothing_is_wrong_here(code: int) -> None:
    _, found, sent = talk(hello(), goodbye(code))

    assert found == [Ended(code, "normal", by_peer=True)]
    assert sent[-1].kind == AGENT_DISCONNECT
    assert said(sent[-1])["status-code"] == 0


def test_after_the_end_nothing_is_taken_or_sent() -> None:
    agent, (event, _), _ = talk(hello(), notify(asking()), goodbye())
    assert isinstance(event, Notify)

    agent.receive(notify(asking(), stream=5))
    agent.acknowledge(event, b"")
    agent.end(Code.UNKNOWN, "again")

    assert events(agent) == []
    assert agent.data_to_send() == b""


def test_a_goodbye_without_a_reason_is_one() -> None:
    _, found, _ = talk(hello(), frame(2, 0, 0, b""))

    assert found == [Ended(Code.UNKNOWN, "no reason", by_peer=True)]


def test_a_goodbye_cannot_write_lines_into_a_log() -> None:
    told: dict[bytes, Data] = {
        b"status-code": (data.UINT32, 4), b"message": (data.STRING, b"bad\nERROR all is lost\xff"),
    }  # fmt: skip
    _, found, _ = talk(hello(), frame(2, 0, 0, pairs(told)))

    assert found == [Ended(4, "bad?ERROR all is lost?", by_peer=True)]


def test_the_agent_may_say_goodbye_first() -> None:
    agent, _, _ = talk(hello())
    agent.end(Code.NORMAL, "the guard is shutting down")

    assert events(agent) == [Ended(0, "the guard is shutting down", by_peer=False)]
    assert said(frames(agent.data_to_send())[0])["status-code"] == 0


def test_an_agent_that_could_not_answer_is_not_made() -> None:
    with pytest.raises(ValueError, match=str(LEAST)):
        Agent(max_frame=LEAST - 1)
