"""Changes of appearance for training, and the weights that training starts from."""

import pytest
import torch

from models.imaging import ImagingEncoder
from models.training.disguise import Disguise
from models.training.pretrained import of_lite0

NOTHING = Disguise(0, 0, 0, 0, 0, 0, 0, 0, (0, 0), 0, 0)


def films():
    return torch.rand(6, 1, 40, 40, generator=torch.Generator().manual_seed(0))


def test_a_film_stays_a_film_and_each_gets_its_own_changes():
    same = films()[:1].expand(6, -1, -1, -1)
    made = Disguise()(same, torch.Generator().manual_seed(1))
    assert made.shape == same.shape
    assert made.min() >= 0
    assert made.max() <= 1
    assert len({float(one.mean()) for one in made}) == 6


def test_the_same_seed_makes_the_same_changes():
    first, second = (Disguise()(films(), torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, second)


def test_without_any_strength_a_film_is_mirrored_at_most():
    x = films()
    made = NOTHING(x, torch.Generator().manual_seed(0))
    for before, after in zip(x, made, strict=True):
        assert min(float((after - one).abs().max()) for one in (before, before.flip(-1))) < 2e-3


def test_boxes_reach_every_corner():
    covered = torch.zeros(40, 40)
    random = torch.Generator().manual_seed(0)
    for _ in range(60):
        boxes = Disguise(0, 0, 0, 0, 0, 0, 0, 0, (0, 0), 0, boxes=1.0)
        covered += (boxes(torch.full((8, 1, 40, 40), 0.5), random) - 0.5).abs().sum((0, 1)) > 0.01
    assert all(covered[row, column] > 0 for row in (0, -1) for column in (0, -1))


def lite0():
    """A state with the names and shapes of EfficientNet-Lite0, as far as the first blocks go."""
    return {
        "_conv_stem.weight": torch.ones(32, 3, 3, 3), "_bn0.running_var": torch.ones(32),
        "_blocks.0._depthwise_conv.weight": torch.full((32, 1, 3, 3), 2.0),
        "_blocks.0._bn2.bias": torch.full((16,), 3.0),
        "_blocks.3._expand_conv.weight": torch.full((144, 24, 1, 1), 4.0), "_fc.weight": torch.ones(1000, 1280),
    }  # fmt: skip


def test_weights_find_their_places_and_colours_are_added_up():
    wanted = ImagingEncoder().state_dict()
    found = of_lite0(lite0(), wanted)
    assert found.keys() <= wanted.keys()
    assert torch.equal(found["stem.convolution.weight"], torch.full((32, 1, 3, 3), 3.0))
    assert float(found["stem.norm.running_var"][0]) == pytest.approx(1 + 1e-3 - 1e-5)
    assert float(found["blocks.0.depthwise.convolution.weight"][0, 0, 0, 0]) == 2
    assert float(found["blocks.0.narrow.norm.bias"][0]) == 3
    assert float(found["blocks.3.widen.convolution.weight"][0, 0, 0, 0]) == 4
    assert len(found) == 5


def test_weights_of_another_network_are_refused():
    with pytest.raises(ValueError, match="shape"):
        of_lite0({"_conv_stem.weight": torch.ones(16, 3, 3, 3)}, ImagingEncoder().state_dict())
