from dataclasses import replace

import numpy as np
import pytest
import torch

from models.novelty import Novelty
from models.training import calibrate
from models.training.attention import AttentionPlan
from models.training.average import Average
from models.training.cards.card import markdown
from models.training.cohort import Hours, Pool
from models.training.fusion import FusionPlan, train_fusion
from models.training.imaging import Foreign, train_imaging
from models.training.imaging_fit import ImagingPlan
from models.training.metrics import auprc, auroc, brier, calibration_error, report
from models.training.note_texts import NoteSet, SectionSet
from models.training.notes import train_notes
from models.training.notes_figures import Organs
from models.training.notes_steps import NotesPlan
from models.training.outcome import silent
from models.training.scores import by_patient, score
from models.training.sequences import batches, carry, pieces, sequence
from models.training.split import part_of, rows_of
from models.training.vitals import train_vitals
from models.training.vitals_fit import VitalsPlan, fit
from models.vitals import VitalsConfig, VitalsEncoder
from workers.datasets.stay import Stay

NAN = np.nan


def stay(number, length=12, label=0.0, seed=0):
    random = np.random.default_rng([seed, number])
    values = np.full((length, 44), NAN, np.float32)
    values[:, :8] = random.normal(label, 1, (length, 8))
    values[random.random(values.shape) < 0.3] = NAN
    time_h = np.cumsum(random.random(length) + 0.1).astype(np.float32)
    return Stay(str(number), time_h, values, np.full(length, label, np.float32), 60.0, 1.0)


class TestSplit:
    def test_a_patient_is_in_one_part_always(self):
        assert {part_of("42") for _ in range(5)} == {part_of("42")}
        assert part_of("p3") == "validation" or part_of("p3") in {"training", "test"}

    def test_parts_cover_all_without_overlap(self):
        rows = rows_of([f"patient {i // 3}" for i in range(3000)])
        together = np.concatenate(list(rows.values()))
        assert sorted(together) == list(range(3000))
        assert {len(rows[part]) // 300 for part in ("training",)} <= {6, 7}


class TestAverage:
    def test_the_average_lies_between_where_the_weights_have_been(self):
        network = torch.nn.Linear(1, 1, bias=False)
        average = Average(network, 0.9)
        for value in (1.0, 2.0, 3.0):
            torch.nn.init.constant_(network.weight, value)
            average.follow(network)
        assert 1.0 < average.network.weight.item() < 3.0
        for _ in range(500):
            average.follow(network)
        assert average.network.weight.item() == pytest.approx(3.0)

    def test_buffers_are_those_of_the_last_step(self):
        network = torch.nn.BatchNorm1d(1)
        average = Average(network, 0.9)
        network(torch.full((4, 1), 9.0))
        average.follow(network)
        assert average.network.running_mean == network.running_mean
        assert not average.network.training


class TestScores:
    def test_values_are_parted_by_patient(self):
        parted = by_patient(np.array(["b", "b", "a"]), np.array([1.0, 2.0, 3.0]))
        assert {name: values.tolist() for name, values in parted.items()} == {"b": [1, 2], "a": [3]}


class TestMetrics:
    def test_auroc_is_the_share_of_ordered_pairs(self):
        random = np.random.default_rng(1)
        label, score = (random.random(60) < 0.3).astype(float), random.integers(0, 9, 60) / 9
        pairs = [(p > n) + (p == n) / 2 for p in score[label == 1] for n in score[label == 0]]
        assert auroc(label, score, np.ones(60)) == pytest.approx(np.mean(pairs))

    def test_auprc_is_the_mean_precision_at_the_positives(self):
        label, score = np.array([1.0, 0, 1, 0, 0]), np.array([0.9, 0.8, 0.7, 0.6, 0.5])
        assert auprc(label, score, np.ones(5)) == pytest.approx((1 / 1 + 2 / 3) / 2)

    def test_weights_count_as_repeated_rows(self):
        random = np.random.default_rng(2)
        label, score = (random.random(40) < 0.4).astype(float), random.integers(0, 7, 40) / 7
        times = random.integers(0, 4, 40)
        again = np.repeat(np.arange(40), times)
        for metric in (auroc, auprc, brier):
            expected = metric(label[again], score[again], np.ones(len(again)))
            assert metric(label, score, times.astype(float)) == pytest.approx(expected)

    def test_calibration_error_is_zero_where_rates_match_and_the_gap_where_not(self):
        probability = np.repeat([0.25, 0.75], 4000)
        label = np.tile([1.0, 0, 0, 0], 1000).tolist() + np.tile([1.0, 1, 1, 0], 1000).tolist()
        assert calibration_error(np.array(label), probability, np.ones(8000)) == pytest.approx(0)
        assert calibration_error(np.zeros(8000), probability, np.ones(8000)) == pytest.approx(0.5)

    def test_interval_over_patients_is_wider_than_over_rows(self):
        random = np.random.default_rng(3)
        level = np.repeat(random.random(30), 40)
        label, score = (random.random(1200) < level).astype(float), level
        patients = np.repeat(np.arange(30), 40).astype(str).tolist()
        by_patient, by_row = report(label, score, patients), report(label, score, np.arange(1200).astype(str).tolist())
        width = [one["auroc"][2] - one["auroc"][1] for one in (by_patient, by_row)]
        assert width[0] > 1.5 * width[1]


class TestCalibrate:
    def test_finds_the_temperature_and_bias_that_spoiled_the_logits(self):
        random = np.random.default_rng(4)
        true = random.normal(0, 2, 6_000)
        label = (random.random(6_000) < 1 / (1 + np.exp(-true))).astype(np.float32)
        fitted = calibrate.fit(((true + 0.5) * 3).astype(np.float32), label)
        assert fitted.temperature == pytest.approx(3, rel=0.1)
        assert fitted.bias == pytest.approx(-0.5, abs=0.15)

    def test_labels_all_alike_leave_the_logits_as_they_are(self):
        fitted = calibrate.fit(np.ones(5, np.float32), np.zeros(5, np.float32))
        assert (fitted.temperature, fitted.bias) == (1.0, 0.0)

    def test_useless_logits_keep_a_finite_temperature(self):
        random = np.random.default_rng(5)
        fitted = calibrate.fit(
            random.normal(size=500).astype(np.float32), (random.random(500) < 0.5).astype(np.float32)
        )
        assert 0 < fitted.temperature < 8


class TestNovelty:
    def test_flags_what_lies_far_off_and_little_else(self):
        torch.manual_seed(0)
        mix = torch.randn(6, 6)
        novelty = Novelty(6)
        novelty.fit(torch.randn(4000, 6) @ mix, torch.randn(4000, 6) @ mix)
        assert (novelty(torch.randn(4000, 6) @ mix) > 1).float().mean() < 0.02
        assert (novelty(torch.randn(100, 6) @ mix + 40) > 1).all()

    def test_the_threshold_rests_on_distances_of_people_held_back(self):
        """With few inputs a distance to a centre that they helped to place is too small."""
        torch.manual_seed(1)
        training, others = torch.randn(600, 40), torch.randn(4000, 40)
        own, crosswise = Novelty(40), Novelty(40)
        own.fit(training, training, 95)
        crosswise.fit_crosswise(training, torch.arange(600) % 5, 95)
        assert (own(others) > 1).float().mean() > 0.08
        assert 0.02 < (crosswise(others) > 1).float().mean() < 0.07

    def test_unfitted_calls_nothing_novel(self):
        assert (Novelty(3)(torch.randn(5, 3) * 1e6) == 0).all()


class TestSequences:
    def test_carry_equals_the_loop(self):
        one = stay(1, 30)
        carried, gap_h = carry(one.time_h, one.values)
        last = {}
        for t in range(30):
            for p in range(44):
                value, when = last.get(p, (NAN, NAN))
                np.testing.assert_equal(carried[t, p], np.float32(value))
                np.testing.assert_allclose(gap_h[t, p], one.time_h[t] - when, rtol=1e-6)
                if not np.isnan(one.values[t, p]):
                    last[p] = (one.values[t, p], one.time_h[t])

    def test_rows_without_a_value_are_no_events(self):
        one = stay(2, 6)
        one.values[[1, 4]] = NAN
        events = sequence(one)
        assert len(events.label) == 4
        assert not np.isnan(events.values).all(1).any()

    def test_a_stay_without_any_value_has_no_events(self):
        one = stay(3, 4)
        one.values[:] = NAN
        assert len(sequence(one).label) == 0

    def test_batches_hold_every_event_once(self):
        cut = pieces([sequence(stay(i, 5 + i)) for i in range(9)], 4)
        total = sum(len(one.label) for one in cut)
        for random in (None, np.random.default_rng(0)):
            found = list(batches(cut, 4, random))
            assert sum(int((~batch.label.isnan()).sum()) for batch in found) == total
            assert sorted(np.concatenate([batch.rows for batch in found])) == list(range(len(cut)))


@pytest.fixture
def _one_thread():
    """Small work is slower on many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_one_thread")
class TestTraining:
    """Each trainer runs on small made data, learns what is put in, and describes itself."""

    def test_vitals(self):
        sepsis = [stay(i, 8, float(i % 3 == 0)) for i in range(120)]
        mortality = [stay(i, 8, float(i % 4 == 0), seed=1) for i in range(90)]
        trained = train_vitals(sepsis, mortality, VitalsPlan(epochs=3, batch=16, rate=1e-2, hidden=32, memory=16))
        assert trained.manifest.metrics["sepsis_6h"]["auroc"][0] > 0.9
        assert 0 < trained.manifest.metrics["sepsis_6h"]["utility_threshold"] < 1
        assert trained.manifest.metrics["sepsis_6h"]["utility"][0] > 0
        assert [row["epoch"] for row in trained.history] == [1, 2, 3]
        assert {"loss", "validation_auroc_sepsis_6h", "validation_auroc_mortality"} < trained.history[0].keys()
        assert trained.manifest.conformal.keys() == {"sepsis_6h", "mortality"}
        assert trained.manifest.thresholds["sepsis_6h"].medium <= trained.manifest.thresholds["sepsis_6h"].high
        assert trained.state["used"][:8].all()
        assert not trained.state["used"][8:].any()
        assert "sepsis_6h" in markdown(trained.manifest)

    def test_vitals_stops_early_when_validation_gets_no_better(self):
        """Labels at random: there is nothing to learn, and the best epoch comes soon."""
        random = np.random.default_rng(3)
        stays = [stay(i, 8, 0.0, seed=2) for i in range(120)]
        for one in stays:
            one.label[:] = random.integers(2)
        plan = VitalsPlan(epochs=30, patience=2, batch=16, hidden=32, memory=16, teacher=(0, 0))
        history = train_vitals(stays, stays, plan).history
        assert len(history) < 30
        sums = [row["validation_auroc_sepsis_6h"] + row["validation_auroc_mortality"] for row in history]
        assert max(sums[-2:]) <= max(sums[:-2])

    def test_a_teacher_is_learned_from_where_labels_say_nothing(self):
        """No label at all is positive; what the teacher says of high values is what the network then says."""
        torch.manual_seed(0)
        stays = [sequence(stay(i, 8, 0.0)) for i in range(150)]
        stays = [
            replace(one, teacher=(0.1 + 0.8 * (np.nan_to_num(one.values[:, 0]) > 0)).astype(np.float32))
            for one in stays
        ]
        judged = [replace(one, label=(one.teacher > 0.5).astype(np.float32)) for one in stays[100:]]
        parts = {"training": stays[:100], "validation": judged, "test": []}
        network = VitalsEncoder(VitalsConfig(hidden=32, memory=16))
        plan = VitalsPlan(epochs=6, batch=16, rate=1e-2, hidden=32, memory=16, teacher=(30.0, 0.0), average=0.9)
        network, _ = fit(network, [parts, parts], plan, silent)
        found = score(network, judged, 0)
        assert auroc(found.label.astype(float), found.logit.astype(float), np.ones(len(found.label))) > 0.9

    def test_imaging(self):
        random = np.random.default_rng(0)
        label = np.arange(60) % 3
        pixels = random.integers(0, 60, (60, 32, 32)).astype(np.uint8)
        for i, kind in enumerate(label):
            pixels[i, :, kind * 10 : kind * 10 + 10] += 150
        plan = ImagingPlan(epochs=2, batch=12)
        trained = train_imaging(
            pixels, label, [str(i) for i in range(60)], plan, foreign=Foreign(pixels[:5], list("abcde"))
        )
        assert {"pneumonia", "novel_share_foreign"} <= trained.manifest.metrics.keys()
        assert list(trained.manifest.conformal["finding"].least) == ["normal", "bacterial", "viral"]
        assert [one["epoch"] for one in trained.history] == [1, 2]
        assert trained.manifest.calibration.keys() == {"normal", "bacterial", "viral"}
        assert "pneumonia" in markdown(trained.manifest)

    def test_notes(self):
        words = {"Surgery": "incision suture knife", "Radiology": "film contrast shadow"}
        kinds = [("Surgery", "Radiology")[i % 2] for i in range(120)]
        texts = [f"the {words[kind]} number {i % 7}" for i, kind in enumerate(kinds)]
        notes = NoteSet(texts, [(kind,) for kind in kinds], [str(i) for i in range(120)])
        said = [f"take {'pills' if i % 3 else 'rest'} {i % 5}" for i in range(90)]
        headers = [("PLAN", "MEDICATIONS", "MEDICATIONS")[i % 3] for i in range(90)]
        sections = SectionSet(said, said, headers, [str(i) for i in range(90)])
        plan = NotesPlan(attention=AttentionPlan(epochs=2, batch=16))
        organs = Organs(("Surgery", "Radiology"), ("Surgery", "Radiology"))
        trained, tokenizer = train_notes(notes, plan, sections=sections, organs=organs)
        metrics = trained.manifest.metrics
        assert metrics["all_labels"]["auroc"][0] > 0.95
        assert metrics["single_organ"]["macro_f1"][0] > 0.95
        assert metrics["section_header_from_spoken"]["accuracy"][0] > 0.95
        assert trained.manifest.conformal.keys() == {"Surgery", "Radiology"}
        assert [one["epoch"] for one in trained.history] == [0, 1, 2]
        assert len(tokenizer) == trained.manifest.config["vocabulary"]
        assert "Surgery" in markdown(trained.manifest)

    def test_fusion(self):
        random = np.random.default_rng(0)
        raised = np.arange(400) % 2 == 0
        pool = Pool((random.normal(0, 0.3, (400, 32)) + raised[:, None]).astype(np.float32), raised)
        label = (random.random(6000) < 0.1).astype(np.float32)
        hours = Hours((label + random.normal(-3, 1, 6000)).astype(np.float32), label, np.arange(6000).astype(str))
        parts = ("training", "validation", "test")
        trained = train_fusion(
            *(dict.fromkeys(parts, one) for one in (hours, pool, pool)), FusionPlan(repeats=1, steps=6)
        )
        fused, alone = (
            trained.manifest.metrics[f"constructed_cohort_{k}"]["auroc"][0] for k in ("fused", "vitals_only")
        )
        assert fused > alone
        assert "CONSTRUCTED COHORT" in markdown(trained.manifest)
