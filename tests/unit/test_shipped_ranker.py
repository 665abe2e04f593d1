import json
from pathlib import Path

from typer.testing import CliRunner

from models.bundle import load_bundle
from workers.cli.app import app

EXAMPLE = json.loads((Path(__file__).parents[2] / "topics/examples/vitals.json").read_text(encoding="utf-8"))


def test_results_name_the_shipped_ranker_and_show_what_it_contributed(tmp_path):
    later = EXAMPLE | {"event_id": "vitals-0002", "event_time": "2026-03-01T09:15:00+01:00"}
    file = tmp_path / "events.jsonl"
    file.write_text(f"{json.dumps(EXAMPLE)}\n{json.dumps(later)}\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["offline", str(file)])
    assert result.exit_code == 0, result.output
    first, second = map(json.loads, result.stdout.splitlines())
    assert first["models"]["ranker"] == load_bundle().versions["ranker"]
    of_first, of_second = ([one["contributions"] for one in each["recommendations"]] for each in (first, second))
    assert any(part["content"] for part in of_first)
    assert not any(part["collaborative"] for part in of_first)  # no history yet
    assert any(part["collaborative"] for part in of_second)
