"""A form is read only where the parts, found by other means, are what every reader finds; a form
made from fields reads as those fields."""

from __future__ import annotations

from gateway_guard.core.forms import MOST_PARTS, is_form, parse
from gateway_guard.types import Inspection
from tests.fuzz.taken import Taken

WORDS = (
    b"--b\r\n", b"--b--\r\n", b"--b--", b'Content-Disposition: form-data; name="model"\r\n\r\n',
    b'Content-Disposition: form-data; name="prompt"\r\n\r\n', b'; filename="a.wav"', b"\r\n",
    b"\n", b"Content-Type: audio/wav\r\n", b"Content-Length: 3\r\n", b'name="n"', b'name="a[]"',
    b"_charset_", b'name="stream"\r\n\r\ntrue', b"Content-Transfer-Encoding: base64\r\n",
    b"filename*=x", b"--", b"\x00",
)  # fmt: skip
_TYPE = b"multipart/form-data; boundary=b"


def _files(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def target(data: bytes) -> None:
    """How many fields to make, then a body."""
    taken = Taken(data)
    count = taken.byte() % 5
    body = taken.rest()

    assert is_form([_TYPE])
    found = parse(body, _TYPE)

    if isinstance(found, dict):
        assert body.startswith(b"--b\r\n")
        assert body.rstrip(b"\r\n").endswith(b"--b--")
        assert len(found) <= MOST_PARTS
        for name, value in found.items():
            assert f'name="{name}'.lower().encode() in body.lower() or name == "contents"
            if isinstance(value, str):
                assert value.encode() in body
        # The parts, by the delimiter lines alone.
        parts = body.removeprefix(b"--b\r\n").split(b"\r\n--b")[:-1]
        fields = [
            part for part in parts if b'filename="' not in part.partition(b"\r\n\r\n")[0].lower()
        ]
        # Files stand together, as a turn of the user's.
        said = [value for value in found.values() if not _files(value)]
        values = sum(len(value) if isinstance(value, list) else 1 for value in said)
        assert len(fields) == values, (body, found)
    else:
        assert found.unknown
    pieces = [body[at * 7 : at * 7 + 7] for at in range(count)]
    made = b"".join(
        b'--b\r\nContent-Disposition: form-data; name="f%d"\r\n\r\n%b\r\n' % (at, piece)
        for at, piece in enumerate(pieces)
    )
    again = parse(made + b"--b--\r\n", _TYPE)
    if isinstance(again, dict):
        assert [value.encode() for value in again.values()] == pieces
    else:
        assert again in (Inspection.CHARSET, Inspection.SHAPE)
        assert not count or again is Inspection.CHARSET or b"--b" in b"".join(pieces)
