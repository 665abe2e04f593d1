"""The bags of words, solved as convex problems."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from models.layers.bag import WordBag
from models.tokens import NoteTokenizer
from models.training import linear

TEXTS = [
    "knee joint replaced", "knee swollen", "joint pain of the knee", "hip joint worn", "eye red", "vision of the eye",
    "eye drops given", "vision poor",
]  # fmt: skip
LABEL = torch.tensor([[1.0], [1], [1], [1], [0], [0], [0], [0]])


@pytest.fixture
def tokenizer():
    return NoteTokenizer.build([*TEXTS, "patella", "patella"])


def logits(found, texts, tokenizer, rarity):
    bag = WordBag(len(tokenizer), found.table.shape[1])
    bag.rarity.copy_(rarity)
    bag.table.weight.data.copy_(found.table)
    tokens = tokenizer.encode(texts, 64)
    return bag(torch.from_numpy(tokens.ids), torch.from_numpy(tokens.mask)).sum(1) + found.bias


def test_solution_is_that_of_scikit_learn():
    random = np.random.default_rng(0)
    x = random.normal(size=(40, 5)).astype(np.float32)
    y = (x[:, 0] + random.normal(size=40) > 0).astype(np.float32)
    label = torch.from_numpy(y[:, None])
    dual, bias = linear.solve(torch.from_numpy(x @ x.T), label, linear.balanced(label), 2.0, steps=200)
    reference = LogisticRegression(C=2.0, class_weight="balanced", tol=1e-8, max_iter=1000).fit(x, y)
    np.testing.assert_allclose(x.T @ dual.numpy()[:, 0], reference.coef_[0], atol=2e-3)
    assert bias.item() == pytest.approx(reference.intercept_[0], abs=2e-3)


@pytest.mark.parametrize("with_vectors", [False, True])
def test_numbers_of_words_give_the_logits_of_the_texts(tokenizer, with_vectors):
    vectors = np.random.default_rng(1).normal(size=(len(tokenizer), 7)).astype(np.float32) if with_vectors else None
    texts = linear.Texts(TEXTS, tokenizer, 64, vectors, len(TEXTS))
    dual, bias = linear.solve(texts.likeness(0.5), LABEL, torch.ones_like(LABEL), 5.0)
    found = texts.fold(dual, bias, 0.5)
    expected = texts.likeness(0.5) @ dual + bias
    torch.testing.assert_close(logits(found, TEXTS, tokenizer, texts.rarity), expected, atol=1e-4, rtol=0)


def test_the_mean_of_solutions_gives_the_mean_of_their_logits(tokenizer):
    vectors = np.random.default_rng(1).normal(size=(len(tokenizer), 7)).astype(np.float32)
    texts = linear.Texts(TEXTS, tokenizer, 64, vectors, len(TEXTS))
    each = [
        texts.fold(*linear.solve(texts.likeness(scale), LABEL, torch.ones_like(LABEL), 5.0), scale)
        for scale in (0.1, 2.0)
    ]
    one, other, both = (logits(found, TEXTS, tokenizer, texts.rarity) for found in (*each, linear.mean(each)))
    assert (one - other).abs().max() > 0.1
    torch.testing.assert_close(both, (one + other) / 2, atol=1e-4, rtol=0)


def test_a_word_never_seen_counts_like_the_words_whose_vectors_are_near(tokenizer):
    random = np.random.default_rng(2)
    vectors = random.normal(0, 0.1, (len(tokenizer), 4)).astype(np.float32)
    names = tokenizer.vocabulary()
    for name in ("knee", "joint", "patella"):
        vectors[names.index(name)] += (1, 0, 0, 0)
    for name in ("eye", "vision"):
        vectors[names.index(name)] += (0, 1, 0, 0)
    told = []
    for known in (None, vectors):
        texts = linear.Texts(TEXTS, tokenizer, 64, known, len(TEXTS))
        found = texts.fold(*linear.solve(texts.likeness(1.0), LABEL, torch.ones_like(LABEL), 5.0), 1.0)
        told.append(found.table[names.index("patella"), 0].item())
    assert told[0] == 0
    assert told[1] > 0.2


def test_out_of_fold_logits_do_not_know_the_texts_own_label():
    random = np.random.default_rng(3)
    x = torch.from_numpy(random.normal(size=(60, 200)).astype(np.float32))
    label = torch.from_numpy((random.random((60, 1)) < 0.5).astype(np.float32))
    weight = torch.ones_like(label)
    dual, bias = linear.solve(x @ x.T, label, weight, 10.0)
    seen = x @ x.T @ dual + bias
    unseen = linear.out_of_fold(x @ x.T, label, weight, 10.0, np.arange(60) % 5)
    right = [(((found > 0) == (label > 0)).float().mean().item()) for found in (seen, unseen)]
    assert right[0] == 1
    assert 0.25 < right[1] < 0.75
