"""Why a socket cannot be had is said in words, with the flag to change."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway_guard.errors import SettingsError
from gateway_guard.frontends.listen import bind_tcp, bind_unix


@pytest.mark.parametrize("host", ["203.0.113.1", "no.such.invalid", "x" * 300])
def test_a_host_that_is_not_here_is_told_without_an_errno(host: str) -> None:
    with pytest.raises(SettingsError) as caught:
        bind_tcp(host, 8080, flag="--host and --port")

    assert str(caught.value).endswith("; see --host and --port")
    assert "Errno" not in str(caught.value)


def test_a_socket_in_no_directory_is_told_without_an_errno(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        bind_unix(str(tmp_path / "none" / "guard.sock"))

    assert "No such file or directory; see --uds" in str(caught.value)
    assert "Errno" not in str(caught.value)
