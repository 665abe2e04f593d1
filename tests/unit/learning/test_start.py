"""Which ranker `wardstream learn` starts from."""

from __future__ import annotations

import pytest

from models.bundle import ARTEFACTS
from models.weights import MANIFEST, read_manifest
from tests.unit.cli.test_control_command import HOUR, NOW, change, raw
from tests.unit.workers.versions import another
from topics.control_settings import KillSwitch, ModelSwitch
from workers.cli import registry
from workers.cli.control_state import state
from workers.cli.describe import describe
from workers.cli.errors import UserError
from workers.cli.learning.start import start_from, version_of

SHIPPED = read_manifest(ARTEFACTS / "ranker").version
PROMOTED = ModelSwitch(name="ranker", version="0.1.0+1a2b3c4d")


class TestControl:
    def test_the_newest_version_that_is_in_force_counts(self):
        older = ModelSwitch(name="ranker", version="0.1.0+00000000")
        found = state([change(older, 0), change(PROMOTED, 1), change(KillSwitch(on=True), 2)], NOW)
        assert version_of(found.live) == PROMOTED.version

    @pytest.mark.parametrize(
        "changes",
        [
            [],
            [change(ModelSwitch(name="vitals", version="0.1.0+1a2b3c4d"), 0)],
            [change(ModelSwitch(name="ranker", shadow="0.1.0+1a2b3c4d"), 0)],
            [change(PROMOTED, 0), raw(b"model/ranker", None, 1)],
            [change(PROMOTED, 0, hours=1)],
        ],
        ids=["nothing", "another model", "a candidate", "taken back", "ended"],
    )
    def test_otherwise_control_names_none(self, changes):
        assert version_of(state(changes, NOW + HOUR).live) is None


class TestStart:
    @pytest.fixture
    def models(self, tmp_path):
        """An operator's folder in which the shipped ranker is active."""
        registry.activate(tmp_path, ARTEFACTS / "ranker", "ranker")
        return tmp_path

    def other(self, models, learned=None):
        """The version of another ranker in that folder."""
        version = another(models, "ranker")
        place = models / "ranker" / version
        manifest = read_manifest(place)
        if learned is not None:
            manifest = manifest.model_copy(update={"config": {**manifest.config, "learned": learned}})
            (place / MANIFEST).write_text(manifest.model_dump_json(), encoding="utf-8")
        describe(place, manifest)
        return version

    def test_it_is_what_control_promoted_else_the_active_one(self, models, capsys):
        version = self.other(models)
        assert start_from(None, version, models) == models / "ranker" / version
        assert f"in use by control: ranker {version}" in " ".join(capsys.readouterr().err.split())
        assert read_manifest(start_from(None, None, models)).version == SHIPPED

    def test_one_that_is_named_comes_first(self, models):
        assert read_manifest(start_from(SHIPPED, self.other(models), models)).version == SHIPPED

    def test_a_promoted_one_that_learned_gives_way_to_the_one_it_came_from(self, models):
        version = self.other(models, learned={"from": SHIPPED})
        assert read_manifest(start_from(None, version, models)).version == SHIPPED

    def test_one_that_is_not_here_is_refused_in_a_line_that_says_what_to_do(self, models):
        with pytest.raises(UserError, match=r"by control, and .* has no such version: .* --models, or .* --base$"):
            start_from(None, "0.1.0+1a2b3c4d", models)
