import numpy as np
import pytest
import torch

from models.layers.bag import WordBag


@pytest.fixture
def bag():
    torch.manual_seed(1)
    made = WordBag(6, 3)
    made.rarity.copy_(torch.tensor([9.0, 1.0, 2.0, 3.0, 1.5, 1.0]))
    return made


def tokens(*ids):
    row = torch.tensor([ids])
    return row, row > 0


def test_weights_are_tf_idf_of_length_one_shared_by_the_places_of_a_word(bag):
    ids, mask = tokens(2, 3, 2, 5, 2, 0)
    raw = np.array([(1 + np.log(3)) * 2.0, 3.0, 1.0])
    two, three, five = raw / np.linalg.norm(raw)
    np.testing.assert_allclose(bag.shares(ids, mask)[0].numpy(), [two / 3, three, two / 3, five, two / 3, 0], rtol=1e-5)


def test_the_sum_is_that_of_the_words_wherever_they_stand(bag):
    one, other = bag(*tokens(2, 3, 2, 5)).sum(1), bag(*tokens(5, 2, 2, 3, 0, 0)).sum(1)
    torch.testing.assert_close(one, other)


def test_a_text_without_words_adds_nothing(bag):
    ids, mask = tokens(0, 0)
    assert (bag(ids, mask) == 0).all()
