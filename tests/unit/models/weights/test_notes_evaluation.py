"""What is asked of the notes model, with the usual simple reader beside it."""

import pytest

from models.bundle import load_bundle
from models.evaluation.figures import Question, Summary
from models.evaluation.notes import notes_questions, section_summaries
from models.evaluation.tfidf import NAME
from models.training.note_texts import NoteSet, SectionSet
from models.training.notes import train_notes
from models.training.notes_figures import Organs
from models.training.notes_steps import AttentionPlan, NotesPlan
from models.weights import save

WORDS = {"Urology": "bladder stone kidney", "Neurology": "headache nerve seizure"}
ORGANS = Organs(tuple(WORDS), tuple(WORDS))


def made(count, seed):
    kinds = [("Urology", "Neurology")[i % 2] for i in range(count)]
    texts = [f"{WORDS[kind]} seen on day {(i + seed) % 9}" for i, kind in enumerate(kinds)]
    types = [("Letters", kind) if i % 5 == 0 else (kind,) for i, kind in enumerate(kinds)]
    return NoteSet(texts, types, [f"{seed}/{i}" for i in range(count)])


def said(count, seed):
    texts = [f"take {('pills', 'rest')[i % 2]} on day {(i + seed) % 9}" for i in range(count)]
    return SectionSet(
        texts, texts, [("MEDICATIONS", "PLAN")[i % 2] for i in range(count)], [str(i) for i in range(count)]
    )


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notes")
    plan = NotesPlan(attention=AttentionPlan(epochs=1, batch=16))
    trained, tokenizer = train_notes(made(120, 0), plan, sections=said(80, 0))
    save(folder / "notes", trained.state, trained.manifest, {"tokenizer.json": tokenizer.content()})
    return load_bundle(folder)


def test_every_label_and_both_summaries_are_asked_with_the_baseline_beside(bundle):
    asked = list(notes_questions(bundle, made(40, 1), ORGANS, fitted=made(60, 2)))
    questions = {one.name: one for one in asked if isinstance(one, Question)}
    summaries = {one.name: one.figures for one in asked if isinstance(one, Summary)}
    assert questions.keys() == {"Letters", "Urology", "Neurology"}
    assert questions["Urology"].baselines.keys() == {NAME}
    single = summaries["one organ system of several"]
    assert single["macro_f1"][0] == single[NAME]["macro_f1"][0] == 1.0
    several = summaries["all labels, several a note"]
    assert several["micro_auroc"][0] > 0.6
    assert several["rows"] == several[NAME]["rows"] == 40


def test_notes_without_a_certain_label_are_counted(bundle):
    told = NoteSet(["bladder stone kidney", "the of and", "headache nerve seizure"], [("Urology",)] * 3, list("abc"))
    several = next(one for one in notes_questions(bundle, told, ORGANS) if isinstance(one, Summary)).figures
    assert several["notes_without_a_certain_label"][0] == pytest.approx(1 / 3, abs=1e-3)
    assert several["certain_labels_that_hold"][0] == 0.5


def test_without_a_folder_for_the_baseline_there_is_none(bundle):
    asked = list(notes_questions(bundle, made(20, 1), ORGANS))
    assert all(NAME not in one.figures for one in asked if isinstance(one, Summary))
    assert all(not one.baselines for one in asked if isinstance(one, Question))


def test_section_headers_are_told_from_speech_and_from_writing(bundle):
    found = {one.name: one.figures for one in section_summaries(bundle, said(30, 3), fitted=said(40, 4))}
    assert found.keys() == {"section header, from what was spoken", "section header, from what was written"}
    for figures in found.values():
        assert figures["accuracy"][0] > 0.9
        assert figures[NAME]["accuracy"][0] > 0.9


def test_a_header_that_training_never_had_counts_as_an_error(bundle):
    sections = said(10, 3)._replace(header=["PLAN", "IMAGING"] * 5)
    figures = next(section_summaries(bundle, sections)).figures
    assert figures["rows_of_each"]["IMAGING"] == 5
    assert figures["accuracy"][0] <= 0.5
