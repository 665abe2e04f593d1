"""Taking away what a map ranks highest moves the score more than chance, if the map tells the truth."""

import torch
from torch import nn
from torch.nn import functional as F

from models.evaluation.map_deletion import fall, without
from models.imaging import ImagingOut


class Bright(nn.Module):
    """Calls bright places a finding; its map says so, or (sign -1) claims the opposite."""

    def __init__(self, sign=1.0):
        super().__init__()
        self.sign = sign

    def forward(self, x):
        places = F.avg_pool2d(x, 32)[:, 0] * 10
        finding = places.mean((1, 2))
        logits = torch.stack((torch.zeros_like(finding), finding, finding - 30), 1)
        return ImagingOut(torch.empty(0), logits, self.sign * places, torch.empty(0), torch.empty(0))


def spots():
    """Dark films with some bright cells, at the same places."""
    x = torch.full((8, 1, 224, 224), 0.1)
    for cell in range(6):
        x[..., 64:96, 32 * cell : 32 * cell + 32] = 0.9
    return x


def test_an_honest_map_beats_chance_and_a_false_one_does_not():
    clear = spots().flip(2)  # dark where the others have their spots
    honest, false = fall(Bright(), spots(), clear, cells=6), fall(Bright(-1.0), spots(), clear, cells=6)
    assert honest.top.mean() > 0.5 > 0.1 > honest.random.mean() > honest.bottom.mean()
    torch.testing.assert_close(false.top, honest.bottom)


def test_chosen_places_come_from_the_other_film_in_the_greys_of_this_one_and_far_places_stay():
    x = spots()
    cells = torch.zeros(8, 7, 7, dtype=torch.bool)
    cells[:, 2, 0] = True
    made = without(x, cells, 0.5 * x.flip(2) + 0.2)
    assert torch.equal(made[..., 128:, :], x[..., 128:, :])
    assert torch.equal(made[..., 64:96, 64:], x[..., 64:96, 64:])
    torch.testing.assert_close(made[..., 80, 4], torch.full((8, 1), 0.1), atol=0.05, rtol=0)
