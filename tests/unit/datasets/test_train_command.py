from typer.testing import CliRunner

from workers.cli.train import app


def test_without_data_it_says_what_to_do_and_fails(tmp_path):
    result = CliRunner().invoke(app, ["vitals", "--out", str(tmp_path), "--data", str(tmp_path / "none")])
    assert result.exit_code == 1
    assert "name one with --data DIR or WARDSTREAM_DATA" in result.output
    assert "Traceback" not in result.output


def test_a_missing_set_is_named(tmp_path):
    result = CliRunner().invoke(app, ["notes", "--out", str(tmp_path), "--data", str(tmp_path)])
    assert result.exit_code == 1
    assert "mtsamples/notes.jsonl" in result.output
