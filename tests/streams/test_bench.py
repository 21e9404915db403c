"""What people decide is written down, and then in force; or neither, or it says which."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway_guard.campaigns.reviews import Review, Ruling
from gateway_guard.errors import SourceError
from gateway_guard.record.audit import Audit
from gateway_guard.record.chain import Entry
from gateway_guard.streams.bench import Bench
from tests import build

BAN = Review(at=build.NOW, ruling=Ruling.BAN, account="acct_" + "a" * 16, reason="r", by="mia")


class Full(Audit):
    """An audit file whose disk is full from the second line on."""

    def append(self, review: Review, *, via: str, failed: str = "") -> Entry:
        if failed:
            raise SourceError("No space left on device")
        return super().append(review, via=via)


def test_what_nobody_could_be_told_is_written_down_as_failed(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "audit", build.SECRET)

    with pytest.raises(SourceError, match="reviews"):
        Bench(via="cli", audit=audit, journal=tmp_path / "gone" / "reviews").rule(BAN)

    assert [entry.action for entry in audit.entries()] == ["ban", "failed"]


def test_where_even_that_cannot_be_written_it_says_what_went_wrong_and_what_the_record_says(
    tmp_path: Path,
) -> None:
    audit = Full(tmp_path / "audit", build.SECRET)

    with pytest.raises(SourceError) as refused:
        Bench(via="cli", audit=audit, journal=tmp_path / "gone" / "reviews").rule(BAN)

    assert str(refused.value).startswith(f"{tmp_path}/gone/reviews: No such file or directory")
    assert f"not in force, though entry 1 of {audit.path} reads as if it were" in str(refused.value)


def test_of_many_it_says_how_many_are_in_force(tmp_path: Path) -> None:
    told: list[Review] = []

    def tell(review: Review) -> None:
        if len(told) == 2:
            raise SourceError("nobody is there")
        told.append(review)

    audit = Audit(tmp_path / "audit", build.SECRET)

    with pytest.raises(SourceError, match=r"^nobody is there\. In force are the 2 of 5 before it"):
        Bench(via="cli", audit=audit, tell=tell).rule_all([BAN] * 5, 5)

    assert [entry.action for entry in audit.entries()] == ["ban", "ban", "ban", "failed"]
