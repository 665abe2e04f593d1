import itertools

import pytest
import torch

from models.fusion import LateFusion

NAN = float("nan")


@pytest.fixture
def network():
    torch.manual_seed(5)
    return LateFusion().eval().requires_grad_(False)


def inputs(batch, seed=0):
    random = torch.Generator().manual_seed(seed)
    note, image = torch.randn(2, batch, 32, generator=random).unbind()
    present = torch.rand(batch, 3, generator=random) < 0.6
    return [torch.randn(batch, generator=random) - 3, note, image, present, torch.rand(batch, 3, generator=random) * 50]


def test_a_record_fuses_the_same_alone_as_in_a_batch(network):
    given = inputs(17)
    risk, shares = network(*given)
    for row in range(17):
        alone, share = network(*(x[row : row + 1] for x in given))
        torch.testing.assert_close(alone[0], risk[row], atol=1e-4, rtol=0)
        torch.testing.assert_close(share[0], shares[row], atol=1e-4, rtol=0)


@pytest.mark.parametrize("present", list(itertools.product([False, True], repeat=3)))
@pytest.mark.parametrize("junk", [NAN, float("inf"), 1e30])
def test_what_is_absent_does_not_matter(network, present, junk):
    vitals, note, image, _, age_h = inputs(1)
    mask = torch.tensor([present])
    expected = network(vitals, note, image, mask, age_h)
    junked = [x if there else torch.full_like(x, junk) for x, there in zip((vitals, note, image), present, strict=True)]
    torch.testing.assert_close(network(*junked, mask, age_h.masked_fill(~mask, junk)), expected)


def test_fresh_vitals_alone_are_the_vitals_risk(network):
    vitals, note, image, _, _ = inputs(4)
    risk, shares = network(vitals, note, image, torch.tensor([[True, False, False]] * 4), torch.zeros(4, 3))
    torch.testing.assert_close(risk, vitals)
    torch.testing.assert_close(shares, torch.tensor([[1.0, 0.0, 0.0]] * 4))


def test_nothing_present_is_the_base_rate_without_shares(network):
    risk, shares = network(*inputs(2)[:3], torch.zeros(2, 3, dtype=torch.bool), torch.zeros(2, 3))
    torch.testing.assert_close(risk, network.base.expand(2))
    assert (shares == 0).all()


def test_shares_sum_to_one(network):
    given = inputs(9)
    given[3] = torch.ones(9, 3, dtype=torch.bool)
    torch.testing.assert_close(network(*given)[1].sum(1), torch.ones(9))


def test_a_note_cannot_move_the_risk_beyond_the_bound(network):
    vitals, _, image, _, _ = inputs(1)
    present = torch.tensor([[True, True, False]])
    risk, _ = network(vitals, torch.full((1, 32), 1e6), image, present, torch.zeros(1, 3))
    assert (risk - vitals).abs() <= 1.5 + 1e-5


def test_an_unknown_age_counts_as_fresh(network):
    given = inputs(3)
    fresh, unknown = (network(*given[:4], torch.full((3, 3), age))[0] for age in (0.0, NAN))
    torch.testing.assert_close(unknown, fresh)


def test_old_evidence_fades(network):
    vitals, note, image, _, _ = inputs(1)
    present = torch.tensor([[False, True, False]])
    fresh, old = (network(vitals, note, image, present, torch.full((1, 3), age))[0] for age in (0.0, 72.0))
    torch.testing.assert_close((old - network.base) / (fresh - network.base), torch.tensor([1 / torch.e]))
