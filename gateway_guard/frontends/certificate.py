"""The certificate connections are accepted with, read again when it was renewed."""

from __future__ import annotations

import ssl

from gateway_guard.errors import SettingsError
from gateway_guard.frontends.renewed import Renewed


def server_tls(certificate: str, key: str | None) -> ssl.SSLContext:
    """TLS 1.2 and later with the PEM chain `certificate` and its `key` (same file when None).

    Raises:
        SettingsError: they cannot be read or do not fit together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:
        files = " and ".join(dict.fromkeys(filter(None, (certificate, key))))
        why = "no certificate and key of it in PEM" if isinstance(error, ssl.SSLError) else None
        raise SettingsError(
            f"--ssl-certfile, --ssl-keyfile: cannot use {files}: {why or error.strerror}"
        ) from None
    return context


class Certificate(Renewed):
    """A certificate and its key, as `server_tls` reads them.

    Attributes:
        context: what connections are accepted with; whoever comes next sees what was read last.

    Raises:
        SettingsError: as `server_tls`.
    """

    name = "certificate"
    kept = "the last good certificate serves"

    def __init__(self, certificate: str, key: str | None) -> None:
        super().__init__([path for path in (certificate, key) if path])
        self._certificate, self._key = certificate, key
        self.context = self._latest = server_tls(certificate, key)
        # A listener keeps the context it was opened with. This is called in each handshake, also
        # where the client names no server.
        self.context.sni_callback = self._choose

    def _read(self) -> None:
        self._latest = server_tls(self._certificate, self._key)

    def _choose(
        self,
        connection: ssl.SSLSocket | ssl.SSLObject,
        name: str | None,  # noqa: ARG002
        context: ssl.SSLContext,  # noqa: ARG002
    ) -> None:
        connection.context = self._latest
