"""The usual simple reader of notes: TF-IDF of single words and logistic regression. Needs scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.calibration import probabilities

NAME = "TF-IDF and logistic regression"
_STRENGTH = 10.0  # C; between 3 and 100 it hardly matters here


class TfIdf:
    """Fitted to texts.

    Args:
        texts: N texts.
        truth: (N,) class numbers, one each; or (N, L) 0 or 1, where each label is a problem of its own.
    """

    def __init__(self, texts: Sequence[str], truth: NDArray[np.int64]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression

        self._vectorizer = TfidfVectorizer(sublinear_tf=True, min_df=2)
        words = self._vectorizer.fit_transform(texts)

        def fit(label: NDArray[np.int64]) -> Any:
            if len(np.unique(label)) < 2:
                return None
            return LogisticRegression(C=_STRENGTH, class_weight="balanced", max_iter=300).fit(words, label)

        self._many = truth.ndim == 2
        self._models = [fit(truth[:, k]) for k in range(truth.shape[1])] if self._many else [fit(truth)]

    def classes(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Class number of each text."""
        return np.asarray(self._models[0].predict(self._vectorizer.transform(texts)), np.int64)

    def scores(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """(M, L) probability of each label; 0 for one that no text it was fitted to had."""
        words = self._vectorizer.transform(texts)
        columns = [
            np.full(len(texts), -np.inf) if one is None else one.decision_function(words) for one in self._models
        ]
        return probabilities(np.stack(columns, 1).astype(np.float32)).astype(np.float64)
