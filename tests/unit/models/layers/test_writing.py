import pytest
import torch

from models.layers.writing import Writing

WORDS = ["[PAD]", "[UNK]", "the", "knee", "##s", "zebra", "{"]


@pytest.fixture
def writing():
    made = Writing(len(WORDS))
    made.learn(WORDS, torch.tensor([8.0, 8.0, 1.0, 2.0, 3.0, 8.0, 7.0]))
    return made


def tokens(*words):
    ids = torch.tensor([[WORDS.index(word) for word in words]])
    return ids, ids > 0


@pytest.mark.parametrize(
    ("words", "mean"),
    [
        (("the", "knee"), 1.5),
        (("the", "zebra", "[PAD]"), 4.5),
        (("[UNK]",), 11.0),
        (("knee", "##s"), 4.0),
        (("{",), 13.0),
    ],
)
def test_rare_words_pieces_unknown_ones_and_odd_marks_are_strange(writing, words, mean):
    found, _ = writing.mean(*tokens(*words))
    assert found.item() == pytest.approx(mean)


def test_unfitted_calls_nothing_foreign(writing):
    assert writing(*tokens("[UNK]", "{")).item() == 0


def test_short_texts_may_be_stranger_than_long_ones(writing):
    count = torch.tensor([4.0, 16.0, 100.0]).repeat_interleave(400)
    torch.manual_seed(0)
    found = 2 + torch.randn(1200) / count.sqrt()
    writing.fit(found, count)
    limit = [(writing.usual + writing.slack / n**0.5).item() for n in (4, 16, 100)]
    assert limit[0] > limit[1] > limit[2] > 2
    flagged = found > writing.usual + writing.slack * count.rsqrt()
    assert flagged.float().mean() < 0.02


def test_a_foreign_text_is_flagged_and_an_ordinary_one_is_not(writing):
    writing.fit(torch.full((200,), 2.0) + torch.linspace(0, 0.5, 200), torch.full((200,), 90))
    assert writing(*tokens(*["the", "knee"] * 10)).item() < 1
    assert writing(*tokens(*["zebra", "##s"] * 10)).item() > 1
