"""The documentation is in step with the code: tables are those the code gives, and whatever a page names exists.

`python tests/unit/test_docs.py` writes the tables anew.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

import typer  # noqa: E402

from tests.unit import alert_page  # noqa: E402
from topics import headers  # noqa: E402
from topics.catalogue import TOPICS  # noqa: E402
from topics.parameters import ACVPU_WORDS, PARAMETERS  # noqa: E402
from topics.reasons import DEAD_LETTER, Reason, markdown  # noqa: E402
from topics.recommendation import RecommendationEvent  # noqa: E402
from workers.cli.app import app  # noqa: E402
from workers.cli.settings_table import render_markdown, unknown_variables  # noqa: E402
from workers.metrics import Metrics  # noqa: E402

COMPOSE_OWN = {"WARDSTREAM_IMAGES"}
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
TEXTS = {str(page.relative_to(ROOT)): page.read_text("utf-8") for page in PAGES}
TESTS = re.compile(r"(tests/[\w/]+\.py)::(\w+)")
PATHS = re.compile(r"(?<![\w/.-])((?:topics|models|workers|tests|deploy|docs|bench)/[\w./-]*\w)")
COMMANDS: Any = typer.main.get_command(app)


def parameters() -> str:
    """What an observation may be."""
    rows = ["| name | code | unit | also accepted | believed |", "|---|---|---|---|---|"]
    for each in PARAMETERS:
        codes = ", ".join((*each.loinc, *each.loinc_units)) or "-"
        units = {unit for units in (each.units, *each.loinc_units.values()) for unit in units if unit} - {each.unit}
        also = ", ".join(f"`{unit}`" for unit in sorted(units)) or "-"
        unit, believed = f"`{each.unit}`", f"{each.low:g} to {each.high:g}"
        if each.words == ACVPU_WORDS:
            unit, believed = "(coded)", ", ".join(word for word in each.words if len(word) == 1)
        rows.append(f"| `{each.name}` | {codes} | {unit} | {also} | {believed} |")
    return "\n".join(rows) + "\n"


def metrics() -> str:
    """Every metric of a worker as Prometheus shows it."""
    rows = ["| metric | kind | labels | meaning |", "|---|---|---|---|"]
    for each in vars(Metrics()).values():
        if hasattr(each, "describe"):
            (family,) = each.describe()
            name = family.name + ("_total" if family.type == "counter" else "")
            labels = ", ".join(f"`{label}`" for label in each._labelnames) or "-"
            rows.append(f"| `{name}` | {family.type} | {labels} | {family.documentation} |")
    return "\n".join(rows) + "\n"


TABLES = {
    ("docs/producers.md", "reasons"): markdown,
    ("docs/producers.md", "parameters"): parameters,
    ("docs/operators.md", "metrics"): metrics,
    **{("docs/alerts.md", name): table for name, table in alert_page.TABLES.items()},
}


def marked(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<=<!-- {name} -->\n)(.*?)(?=<!-- /{name} -->)", re.DOTALL)


@pytest.mark.parametrize(("page", "name"), TABLES)
def test_tables_are_those_of_the_code(page: str, name: str) -> None:
    assert marked(name).findall(TEXTS[page]) == [TABLES[page, name]()], "run  python tests/unit/test_docs.py"


def test_the_settings_page_is_that_of_the_code() -> None:
    assert TEXTS["docs/settings.md"] == render_markdown(), "run  python tests/unit/test_docs.py"


MADE = {"bench/results/latest.md", "bench/results/latest.json"}


@pytest.mark.parametrize("page", TEXTS)
def test_files_exist(page: str) -> None:
    assert [path for path in PATHS.findall(TEXTS[page]) if not (ROOT / path).exists() and path not in MADE] == []


@pytest.mark.parametrize("page", TEXTS)
def test_tests_exist(page: str) -> None:
    missing = [
        f"{path}::{name}"
        for path, name in TESTS.findall(TEXTS[page])
        if not re.search(rf"^ *(async )?def {name}\(", (ROOT / path).read_text("utf-8"), re.MULTILINE)
    ]
    assert missing == []


def test_every_promise_names_tests() -> None:
    promises = re.split(r"^## ", TEXTS["docs/guarantees.md"], flags=re.MULTILINE)[1:9]
    assert [promise.split(".")[0] for promise in promises] == [str(number) for number in range(1, 9)]
    assert all(TESTS.search(promise) for promise in promises)
    assert all("**Limits.**" in promise for promise in promises if not promise.startswith("4"))


def anchors(text: str) -> set[str]:
    """Anchors of a page's headings, as forges make them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", TEXTS)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXTS[page]):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        file = ((ROOT / page).parent / path).resolve() if path else ROOT / page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file.read_text("utf-8")), target


@pytest.mark.parametrize("page", TEXTS)
def test_settings_exist(page: str) -> None:
    assert set(unknown_variables(re.findall(r"\bWARDSTREAM_[A-Z0-9_]*[A-Z0-9]\b", TEXTS[page]))) <= COMPOSE_OWN


def invocations(text: str) -> list[str]:
    """Every `wardstream ...` in code, inline or in a block."""
    blocks = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    code = [line for block in blocks for line in block.splitlines()] + re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)
    return [
        found
        for line in code
        for found in re.findall(r"(?:^|[|;&] ?|\bworker |[A-Z_]+=\S+ )(wardstream [a-z][^|;&#>]*)", line)
    ]


@pytest.mark.parametrize("page", TEXTS)
def test_commands_and_their_options_exist(page: str) -> None:
    for line in invocations(TEXTS[page]):
        command, words = COMMANDS, shlex.split(line)[1:]
        while words and hasattr(command, "commands"):
            name = words.pop(0)
            assert name in command.commands, line
            command = command.commands[name]
        known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known | {"--help"}, line


@pytest.mark.parametrize("page", TEXTS)
def test_make_targets_exist(page: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), flags=re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z]+)", TEXTS[page], flags=re.MULTILINE)) <= targets


def test_the_readme_lists_every_topic() -> None:
    assert all(f"| `{topic.name}` |" in TEXTS["README.md"] for topic in TOPICS)


def test_consumers_are_told_of_every_field_and_header() -> None:
    page = TEXTS["docs/consumers.md"]
    assert [field for field in RecommendationEvent.model_fields if field not in page] == []
    assert [name for name in headers.OUTGOING if f"`{name}`" not in page] == []


@pytest.mark.parametrize("page", TEXTS)
def test_reasons_and_dead_letters_are_called_by_their_codes(page: str) -> None:
    for code in re.findall(r"dead letters? \(?`(\w+)`", TEXTS[page]):
        assert Reason(code) in DEAD_LETTER


@pytest.mark.parametrize("page", TEXTS)
def test_nothing_tells_of_the_machine_it_was_written_on(page: str) -> None:
    assert not re.search(r"/(?:root|home/\w+|mnt|Users/\w+)/", TEXTS[page])


def write() -> None:
    """Put the code's tables into the pages."""
    (ROOT / "docs/settings.md").write_text(render_markdown(), "utf-8")
    for (page, name), table in TABLES.items():
        path = ROOT / page
        text, count = marked(name).subn(lambda _, table=table: table(), path.read_text("utf-8"))
        assert count == 1, f"{page} has no place for {name}"
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    os.chdir(ROOT)
    write()
