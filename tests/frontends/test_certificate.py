"""A certificate that was renewed is read again, and what is none changes nothing."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from pathlib import Path

import pytest

from gateway_guard.errors import SettingsError
from gateway_guard.frontends.certificate import Certificate
from tests.e2e.servers import certificate


def shown(context: ssl.SSLContext) -> str:
    """What somebody who connects is shown, PEM."""

    async def main() -> str:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        async with server:
            return await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port))

    return asyncio.run(main())


def test_new_connections_see_what_was_read_last(tmp_path: Path) -> None:
    where, key = certificate(tmp_path / "old")
    later, key_of_later = certificate(tmp_path / "new")
    before, after = where.read_text(), later.read_text()
    one = Certificate(str(where), str(key))
    context = one.context

    seen = [shown(context)]
    shutil.copy(later, where)
    kept = one.renew()
    seen.append(shown(context))
    why = one.error
    shutil.copy(key_of_later, key)
    renewed = one.renew()
    seen.append(shown(context))

    assert (kept, renewed) == (False, True)
    assert seen == [before, before, after]
    assert why is not None
    assert "no certificate and key of it in PEM" in why
    assert one.error is None


def test_files_that_are_gone_are_named_and_the_last_good_one_stays(tmp_path: Path) -> None:
    where, key = certificate(tmp_path / "one")
    one, good = Certificate(str(where), str(key)), where.read_text()
    key.unlink()

    assert not one.renew()
    assert one.error == (
        f"--ssl-certfile, --ssl-keyfile: cannot use {where} and {key}: No such file or directory"
    )
    assert shown(one.context) == good


def test_one_file_may_hold_both(tmp_path: Path) -> None:
    where, key = certificate(tmp_path / "one")
    where.write_text(where.read_text() + key.read_text())

    assert Certificate(str(where), None).files == [str(where)]


def test_at_the_start_it_must_be_good(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.pem"):
        Certificate(str(tmp_path / "none.pem"), None)
