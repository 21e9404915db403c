"""Records that hold secrets, and never show them: not where something quotes what it holds."""

from __future__ import annotations

from typing import Any, ClassVar


class Veiled:
    """Stands before `msgspec.Struct`: the record's `repr` leaves out the values of some members.

    Collectors of errors and consoles quote what every function on the stack holds.

    Attributes:
        veiled: names of these members.
    """

    __slots__ = ()
    __struct_fields__: ClassVar[tuple[str, ...]]
    veiled: ClassVar[frozenset[str]] = frozenset()

    def __rich_repr__(self, /) -> list[tuple[str, Any]]:
        said = [(name, getattr(self, name)) for name in self.__struct_fields__]
        return [(name, ... if value and name in self.veiled else value) for name, value in said]

    def __repr__(self) -> str:
        said = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({said})"
