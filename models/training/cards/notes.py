"""About the notes model."""

from __future__ import annotations

from typing import Final

from models.training.cards.about import FIGURES, MTSAMPLES, SPLIT, About

ABOUT: Final = About(
    what="Two attention blocks over subwords, from an English note to its specialties, with the words that counted.",
    data=(MTSAMPLES,),
    split=SPLIT.format(unit="note"),
    figures=FIGURES,
    calibration="One temperature and bias for all labels, fitted on the validation part.",
    limits=(
        "Transcription samples, not notes of a ward; English only, other languages are not reliably flagged.",
        "Specialties and document types, not diagnoses: no finding is extracted, negation is not understood.",
        "Only the first 256 subwords are read.",
        "Saliency is of places after two attention blocks: a word may stand for its neighbours.",
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
