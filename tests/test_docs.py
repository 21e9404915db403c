"""Documentation is complete: whatever a user can name has its text, and nothing names the lost."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import gateway_guard
from gateway_guard import settings
from gateway_guard.cli import COMMANDS
from gateway_guard.core.own import OWN
from gateway_guard.record.metrics import METRICS
from gateway_guard.record.schema import FIELDS
from gateway_guard.signals import DETECTORS

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"


@pytest.fixture(scope="module")
def readme() -> str:
    return README.read_text("utf-8")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_readme_names_every_command(name: str, readme: str) -> None:
    assert re.search(rf"`(gateway-guard )?{name}\b|gateway-guard {name}\b", readme), name


@pytest.mark.parametrize("name", sorted(settings.VARIABLES))
def test_the_readme_explains_every_setting(name: str, readme: str) -> None:
    assert f"`{name}`" in readme


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_every_signal_has_a_whole_manual_page_and_is_in_the_readme(name: str, readme: str) -> None:
    page = inspect.getdoc(DETECTORS[name]) or ""

    for section in ("What it sees:", "Score:", "False positives:", "Evasion:", "Source:"):
        assert section in page, f"{name} lacks {section!r}"
    assert name in readme


@pytest.mark.parametrize("name", gateway_guard.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(gateway_guard, name)

    assert name == "__version__" or inspect.getdoc(value)


def test_public_names_are_completed_before_they_are_loaded() -> None:
    asked = "import gateway_guard; print(*set(gateway_guard.__all__) - set(dir(gateway_guard)))"

    missing = subprocess.run([sys.executable, "-c", asked], capture_output=True, check=True)

    assert missing.stdout.strip() == b""


def test_every_field_and_metric_has_its_meaning() -> None:
    assert all(len(field.meaning) >= 8 for field in FIELDS)
    assert all(text.endswith(".") or ";" in text for text in METRICS.values())


def test_every_decision_of_the_guards_own_is_in_the_table_and_in_the_readme(readme: str) -> None:
    package = Path(gateway_guard.__file__).parent
    code = "".join(path.read_text("utf-8") for path in package.rglob("*.py"))

    assert set(re.findall(r'"(guard:[a-z]+)"', code)) == set(OWN)
    assert all(f"`{name}`" in readme for name in OWN)


def test_every_test_the_threat_model_cites_exists() -> None:
    text = (ROOT / "SECURITY.md").read_text("utf-8")

    cited = set(re.findall(r"`(tests/[\w/.]+)`", text))

    assert len(cited) > 10
    for path in cited:
        if not path.startswith("tests/bench/"):  # benchmarks do not travel with the wheel's tests
            assert (ROOT / path).exists(), path


def test_the_changelog_knows_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")

    assert f"## {gateway_guard.__version__}" in text


def test_every_example_is_named_in_the_examples_readme() -> None:
    text = (ROOT / "examples" / "README.md").read_text("utf-8")

    for name in ("requests/", "traffic.jsonl.gz", "accounts.jsonl", "make_traffic.py", "mock_up"):
        assert name in text


PAGES = [ROOT / name for name in ("README.md", "SECURITY.md", "CHANGELOG.md")] + sorted(
    page for folder in ("examples", "tests") for page in (ROOT / folder).rglob("*.md")
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if re.match(r"[a-z]+:", link) or "tests/bench/" in link:  # benchmarks: see above
            continue
        name, _, heading = link.partition("#")
        meant = page.parent / name if name else page
        if (packed := name.removeprefix("gateway_guard/")) != name:
            # Of the tests of the wheel the package lies elsewhere.
            meant = Path(gateway_guard.__file__).parent / packed
        assert meant.exists(), link
        assert not heading or heading in headings(meant), link


def headings(page: Path) -> set[str]:
    """As hosts of repositories name them: lower case, hyphens for spaces, no other signs."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    found = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}
