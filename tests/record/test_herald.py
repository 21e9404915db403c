"""Notices reach a receiver in order, signed, until it takes them; and nothing waits for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway_guard.core.callbacks import signed
from gateway_guard.errors import SettingsError
from gateway_guard.record.herald import LATEST, MOST, SOONEST, Herald
from gateway_guard.record.metrics import Metrics
from gateway_guard.record.notices import Notice
from gateway_guard.settings import Settings
from tests.record.receiver import Receiver, receiving

KEY = b"a key of at least twenty-four bytes"
NOW = 1_772_436_660.0


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as server:
        yield server


def notice(name: str) -> Notice:
    return Notice(id=f"campaign.held.{name}", body=f'{{"text": "{name}"}}'.encode())


def by_hand(receiver: Receiver, key: bytes | None = None) -> Herald:
    return Herald(receiver.url, key, clock=lambda: NOW, threaded=False)


def test_a_notice_is_signed_as_the_specification_has_it(receiver: Receiver) -> None:
    herald = by_hand(receiver, KEY)
    herald.tell(notice("a"))

    herald.attempt()

    headers, body = receiver.heard[0]
    assert headers["webhook-id"] == "campaign.held.a"
    assert headers["content-type"] == "application/json"
    assert signed(KEY, headers, body, now=NOW)
    assert not signed(KEY, headers, body + b" ", now=NOW)


def test_without_a_key_it_is_not_signed(receiver: Receiver) -> None:
    herald = by_hand(receiver)
    herald.tell(notice("a"))

    herald.attempt()

    assert "webhook-signature" not in receiver.heard[0][0]


def test_what_is_not_taken_is_sent_again_before_what_came_later(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    receiver.answers = [500, 302, 404, 204]
    herald = by_hand(receiver)
    herald.tell(notice("a"))
    herald.tell(notice("b"))

    pauses = [herald.attempt() for _ in range(5)]

    assert pauses == [SOONEST, 2 * SOONEST, 4 * SOONEST, 0.0, None]
    assert receiver.bodies == [notice("a").body] * 4 + [notice("b").body]
    assert (herald.sent, herald.failed, herald.lost, herald.waiting) == (2, 3, 0, 0)
    assert [record.getMessage() for record in caplog.records if "webhook" in record.message] == [
        "the webhook did not take campaign.held.a: it answered 500; tried again until it does",
        "the webhook takes notices again",
    ]


def test_the_pause_has_an_end(receiver: Receiver) -> None:
    receiver.answers = [503]
    herald = by_hand(receiver)
    herald.tell(notice("a"))

    pauses = [herald.attempt() for _ in range(12)]

    assert pauses[-1] == pauses[-2] == LATEST


def test_one_that_will_never_be_taken_does_not_hold_up_the_others(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answers = [400, 204]
    herald = by_hand(receiver)
    herald.tell(notice("a"))
    herald.tell(notice("b"))

    assert [herald.attempt(), herald.attempt()] == [0.0, None]

    assert (herald.sent, herald.lost) == (1, 1)
    assert "it answered 400; given up" in caplog.text


def test_nobody_there_is_no_error_and_the_address_is_not_told(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    herald = Herald("http://127.0.0.1:1/hush-hush", threaded=False)
    herald.tell(notice("a"))

    assert herald.attempt() == SOONEST

    assert "cannot be reached" in (herald.trouble or "")
    assert "hush-hush" not in caplog.text


def test_what_waits_is_bounded_and_the_oldest_make_room() -> None:
    herald = Herald("http://127.0.0.1:1/", threaded=False)

    for number in range(MOST + 3):
        herald.tell(notice(str(number)))

    assert (herald.waiting, herald.lost) == (MOST, 3)


def test_its_thread_sends_at_once_and_ends_with_it(receiver: Receiver) -> None:
    herald = Herald(receiver.url)

    herald.tell(notice("a"))
    assert receiver.came.acquire(timeout=10.0)
    herald.tell(notice("b"))
    assert receiver.came.acquire(timeout=10.0)
    herald.close()
    herald.close()

    assert receiver.bodies == [notice("a").body, notice("b").body]
    assert not [thread for thread in threading.enumerate() if thread.name == "herald"]


def test_what_waits_at_the_end_is_tried_once_more(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    herald = by_hand(receiver)
    herald.tell(notice("a"))
    receiver.answers = [204, 500]
    herald.tell(notice("b"))
    herald.tell(notice("c"))

    herald.close()

    assert receiver.bodies == [notice("a").body, notice("b").body]
    assert "2 notices were never taken by the webhook" in caplog.text


def test_metrics_say_how_it_goes(receiver: Receiver) -> None:
    herald, metrics = by_hand(receiver), Metrics()
    herald.publish(metrics)
    herald.tell(notice("a"))
    herald.attempt()
    herald.tell(notice("b"))

    text = metrics.render()[0].decode()

    assert "gateway_guard_webhook_sent_total 1.0" in text
    assert "gateway_guard_webhook_waiting 1.0" in text


def test_settings_name_it(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(KEY)
    url = "https://hooks.example.com/services/secret"

    assert Herald.configured(Settings()) is None
    assert Herald.configured(Settings(webhook_url=url, webhook_key_file=str(file))) is not None
    assert url not in repr(Settings(webhook_url=url))


@pytest.mark.parametrize(
    "url",
    ["hush.example", "ftp://host/hush", "https:///hush", "https://h:0/hush", "http://h/hush x"],
)
def test_what_is_no_url_is_an_error_that_does_not_repeat_it(url: str) -> None:
    with pytest.raises(SettingsError, match="write https://host/path") as caught:
        Herald.configured(Settings(webhook_url=url))

    assert "hush" not in str(caught.value)


def test_a_key_that_is_none_is_an_error(tmp_path: Path) -> None:
    short = tmp_path / "short"
    short.write_bytes(b"too short")

    with pytest.raises(SettingsError, match="at least 24 bytes"):
        Herald.configured(Settings(webhook_url="https://h/", webhook_key_file=str(short)))
    with pytest.raises(SettingsError, match="cannot read"):
        Herald.configured(Settings(webhook_url="https://h/", webhook_key_file=f"{short}er"))
