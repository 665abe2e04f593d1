"""Explanations of the shipped networks name what their scores rest on, on small made records."""

from __future__ import annotations

import numpy as np
import torch

from models.bundle import load_bundle
from models.columns import INDEX
from models.conformal import Conformal
from models.evaluation.coverage import coverage_figures
from models.evaluation.faithfulness import note_moves, vitals_moves
from models.training.sequences import sequence
from models.vitals import P
from workers.datasets.stay import Stay

USUAL = {"pulse": (85, 18), "respiration_rate": (19, 5), "systolic_bp": (122, 20), "map": (82, 14), "spo2": (96, 3),
         "temperature": (37.0, 0.7), "lactate": (2.0, 1.2), "creatinine": (110, 60), "wbc": (11, 5),
         "platelets": (220, 90)}  # fmt: skip
SENTENCES = (
    "The patient presents with chest pain and shortness of breath. Electrocardiogram shows sinus rhythm.",
    "An incision was made over the knee and the torn meniscus was resected. The wound was closed with sutures.",
    "Magnetic resonance imaging of the brain without contrast shows no acute infarct or hemorrhage.",
    "She has a history of diabetes and hypertension. Medications include metformin and lisinopril.",
    "Colonoscopy was performed to the cecum. A small polyp was removed with snare. No bleeding was seen.",
    "The infant was delivered by cesarean section at term. Apgar scores were eight and nine.",
)


def made_stays(count: int = 60) -> list[Stay]:
    """Stays of adults of varying illness, hour by hour, most vital signs and some laboratory values at each."""
    random = np.random.default_rng(0)
    names = [name for name in USUAL if name in INDEX]
    stays = []
    for k in range(count):
        values = np.full((8, P), np.nan, np.float32)
        for name in names:
            middle, spread = USUAL[name]
            values[:, INDEX[name]] = random.normal(middle, spread) + random.normal(0, spread / 3, 8)
            values[random.random(8) < 0.3, INDEX[name]] = np.nan
        hours = np.arange(8, dtype=np.float32)
        stays.append(Stay(f"p{k}", hours, values, np.zeros(8, np.float32), 60.0, float(k % 2)))
    return stays


def test_strong_columns_move_the_sepsis_logit_more_than_others():
    torch.set_num_threads(1)
    moves = vitals_moves(load_bundle().vitals, [sequence(stay) for stay in made_stays()])
    assert len(moves.top) == 60
    assert moves.top.mean() > 1.3 * moves.random.mean()
    assert (moves.top > moves.random).mean() > 0.6


def test_salient_tokens_lower_the_highest_logit_more_than_others():
    torch.set_num_threads(1)
    bundle, random = load_bundle(), np.random.default_rng(0)
    texts = [" ".join(random.permutation(SENTENCES)[:3]) for _ in range(24)]
    moves = note_moves(bundle.notes, bundle.tokenizer, texts, [str(i) for i in range(24)])
    assert len(moves.top) == 24
    assert moves.top.mean() > 1.3 * moves.random.mean()
    assert (moves.top > moves.random).mean() > 0.6


def test_the_summary_gives_both_means_their_difference_and_intervals():
    moves = vitals_moves(load_bundle().vitals, [sequence(stay) for stay in made_stays(20)])
    figures = moves.summary("explanation", "logit").figures
    difference, low, high = figures["logit, difference"]
    assert low < difference < high
    assert round(figures["logit, highest ranked"][0] - figures["logit, at random"][0], 3) == round(difference, 3)


def test_events_and_notes_with_too_little_to_take_away_are_left_out():
    bundle = load_bundle()
    stay = made_stays(1)[0]
    few = np.full_like(stay.values, np.nan)
    few[:, INDEX["pulse"]] = stay.values[:, INDEX["pulse"]]
    few[0, INDEX["pulse"]] = 80
    scarce = Stay("p", stay.time_h, few, stay.label, 60.0, 1.0)
    assert len(vitals_moves(bundle.vitals, [sequence(scarce)]).top) == 0
    assert len(note_moves(bundle.notes, bundle.tokenizer, ["Well.", ""], ["a", "b"]).top) == 0


def test_coverage_is_told_of_each_answer_and_of_what_stays_open():
    label = np.array([0, 0, 0, 0, 1, 1.0])
    probability = np.array([0.05, 0.1, 0.4, 0.9, 0.4, 0.95])
    sets = Conformal(coverage=0.8, least={"no": 0.5, "yes": 0.3})  # no up to 0.5, yes from 0.3: 0.4 is ambiguous
    found = coverage_figures(sets, label, probability, np.array([str(i) for i in range(6)]))
    assert found["coverage of no"][0] == 0.75
    assert found["coverage of yes"][0] == 1.0
    assert found["ambiguous"][0] == round(2 / 6, 4)
    assert coverage_figures(None, label, probability, np.array(list("abcdef"))) == {}
