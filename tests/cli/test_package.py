"""What is installed is whole: data files, types, licences, examples, the command."""

from __future__ import annotations

from importlib.metadata import distribution, entry_points
from pathlib import Path

import pytest

import gateway_guard
from gateway_guard.cli.demo import Material

PACKAGE = Path(gateway_guard.__file__).parent
INSTALLED = "site-packages" in PACKAGE.parts
from_a_wheel = pytest.mark.skipif(not INSTALLED, reason="about an installed wheel: make wheel")


@pytest.mark.parametrize(
    ("name", "least"), [("data/network.mmdb", 10_000_000), ("data/NOTICE", 1_000), ("py.typed", 0)]
)
def test_a_data_file_is_there_and_not_cut_short(name: str, least: int) -> None:
    assert (PACKAGE / name).stat().st_size >= least


def test_the_notice_names_every_source_of_the_network_data() -> None:
    notice = (PACKAGE / "data" / "NOTICE").read_text("utf-8")

    assert "CC" in notice or "licen" in notice.lower()
    assert len(notice.split("http")) > 3


def test_the_command_is_an_entry_point() -> None:
    (command,) = entry_points(group="console_scripts", name="gateway-guard")

    assert command.value == "gateway_guard.cli:main"


def test_the_metadata_names_licence_and_python() -> None:
    metadata = distribution("gateway-guard").metadata

    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert {"LICENSE", "gateway_guard/data/NOTICE"} <= set(metadata.get_all("License-File") or ())


@from_a_wheel
def test_a_wheel_brings_its_licences() -> None:
    names = {str(path) for path in distribution("gateway-guard").files or ()}

    for name in ("LICENSE", "gateway_guard/data/NOTICE"):
        assert any(path.endswith(f".dist-info/licenses/{name}") for path in names)


@from_a_wheel
def test_a_wheel_brings_what_the_demonstration_needs() -> None:
    material = Material()

    assert material.policy.is_relative_to(PACKAGE)
    assert (material.examples / "mock_upstream.py").is_file()
    assert len(material.exchanges()) > 1_000
    assert (material.policy.parent / "minimal.yaml").is_file()
