"""About the notes model."""

from __future__ import annotations

from typing import Final

from models.training.cards.about import FIGURES, MINILM, MINILM_SHA256, MTS_DIALOG, MTSAMPLES, SPLIT, About


def sources(*, sections: bool, encoder_sha256: str | None) -> tuple[str, ...]:
    """What an artefact learned from, one line each: with or without sections, and of which encoder."""
    if encoder_sha256 is None:
        vectors = "No pretrained encoder: words that the training texts lack count nothing"
    elif encoder_sha256 == MINILM_SHA256:
        vectors = MINILM
    else:
        vectors = f"Vectors of words from an encoder whose weights have the SHA-256 {encoder_sha256}, folded in"
    return MTSAMPLES, *([MTS_DIALOG] if sections else []), vectors


ABOUT: Final = About(
    what="A bag of all words beside two attention blocks over the beginning, from an English note to its specialties "
    "and kinds of document, with the words that counted; a second head names the section that a text belongs to.",
    data=(MTSAMPLES, MTS_DIALOG, MINILM),
    split=SPLIT.format(unit="note"),
    figures=FIGURES,
    calibration="A temperature and bias for each label, part of the weights, fitted on the validation part and on the "
    "training part as bags saw it that were fitted without it (five folds); prediction sets on the same notes.",
    limits=(
        "Transcription samples, not notes of a ward.",
        "English only: other languages and nonsense are flagged by how they are written, not understood.",
        "Specialties and document types, not diagnoses: no finding is extracted, negation is not understood.",
        "Many labels of the samples are arbitrary between neighbours: nephrology or urology, oncology or the organ.",
        "Words count wherever they stand in the first 2,048 tokens; their order counts in the first 256 only.",
        "Prediction sets of rare labels are rough: fitted on 15 notes, coverage may be 0.16 off by chance, on 60 0.09.",
        "Saliency through the attention blocks is of places: there a word may stand for its neighbours.",
    ),
    answers={
        3: "A calibrated probability for each specialty and document type, and the spans of text that counted.",
        4: "Classification.",
        6: "Not of patients but of documents: transcribed notes in American English.",
        11: "Every sample with text; specialties that are too rare to be learned are no label.",
        12: "None of these is an input of its own; a note's text may mention them.",
        13: "Not known: the samples have no demographics.",
        14: "Samples of a transcription service, dictated and edited; notes typed on a ward are shorter and less tidy.",
    },
)
