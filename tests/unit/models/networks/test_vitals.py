import numpy as np
import pytest
import torch

from models.columns import COLUMNS, INDEX
from models.vitals import VitalsConfig, VitalsEncoder

P, NAN = len(COLUMNS), float("nan")


@pytest.fixture
def network(bundle):
    return bundle.vitals


def events(batch, seed=0):
    random = torch.Generator().manual_seed(seed)
    values, carried = torch.randn(2, batch, P, generator=random).unbind()
    values[torch.rand(values.shape, generator=random) < 0.6] = NAN
    carried[torch.rand(values.shape, generator=random) < 0.4] = NAN
    gap_h = torch.rand(values.shape, generator=random).mul(9).masked_fill(carried.isnan(), NAN)
    static = torch.rand(batch, 3, generator=random) * torch.tensor([90.0, 1.0, 72.0])
    static[::3] = NAN
    return torch.randn(batch, VitalsConfig().hidden, generator=random), values, carried, gap_h, static


def test_a_record_steps_the_same_alone_as_in_a_batch(network):
    inputs = events(33)
    after, shares = network.explain(*inputs)
    for row in (0, 7, 32):
        alone, share = network.explain(*(x[row : row + 1] for x in inputs))
        torch.testing.assert_close(alone[0], after[row], atol=1e-4, rtol=0)
        torch.testing.assert_close(share[0], shares[row], atol=1e-4, rtol=0)


def test_neighbours_with_wild_values_do_not_matter(network):
    inputs = events(4)
    wild = [x.clone() for x in inputs]
    for x, value in zip(wild[1:], (1e30, NAN, -1e30, float("inf")), strict=True):
        x[1:] = value
    torch.testing.assert_close(network.step(*wild)[0], network.step(*inputs)[0])


@pytest.mark.parametrize("value", [NAN, float("inf"), -float("inf"), 3e38])
def test_state_stays_finite_whatever_comes_in(network, value):
    wild = torch.full((2, P), value)
    after, shares = network.explain(network.initial(2), wild, wild, wild, torch.full((2, 3), value))
    assert after.isfinite().all()
    assert shares.isfinite().all()
    assert network.heads(after).isfinite().all()


@pytest.mark.parametrize("sign", [-1, 1])
def test_an_infinite_value_counts_as_an_extreme_one_not_as_missing(network, sign):
    h, values, carried, gap_h, static = events(1)
    values[0, 0] = sign * float("inf")
    extreme = values.clone()
    extreme[0, 0] = sign * 1e4
    after = network.step(h, values, carried, gap_h, static)
    torch.testing.assert_close(after, network.step(h, extreme, carried, gap_h, static))


def test_sequence_equals_steps_with_what_was_carried(network):
    _, values, carried, gap_h, static = events(6)
    shaped = [x.view(2, 3, P) for x in (values, carried, gap_h)]
    states = network(*shaped, static.view(2, 3, 3))
    h = network.initial(2)
    for t in range(3):
        h = network.step(h, *(x[:, t] for x in shaped), static.view(2, 3, 3)[:, t])
        torch.testing.assert_close(h, states[:, t])


def test_missing_is_not_the_same_as_ordinary(network):
    h, values, carried, gap_h, static = events(1)
    values[0, 0], carried[0, 0] = NAN, NAN
    ordinary = values.clone()
    ordinary[0, 0] = network.centre[0]
    missing, measured = (network.step(h, v, carried, gap_h, static) for v in (values, ordinary))
    assert (missing - measured).abs().max() > 1e-3


def test_contributions_are_gradient_times_difference_from_the_median(network):
    """Through the gates and through the memory that the gates read; worked by autograd here, in closed form there."""
    h, values, carried, gap_h, static = events(5)
    _, shares = network.explain(h, values, carried, gap_h, static)
    gated, memory = h.split((network.config.hidden - network.config.memory, network.config.memory), -1)
    x = network.features(values, carried, gap_h, static).requires_grad_()
    after = network.cell.step(torch.cat((x, network.memory.step(x, memory)), -1), gated)
    (gradient,) = torch.autograd.grad(network.head(after)[:, 0].sum(), x)
    products = (gradient * x).detach()
    torch.testing.assert_close(shares, products[:, :P] + products[:, P : 2 * P])


def test_explaining_steps_like_stepping(network):
    inputs = events(5)
    torch.testing.assert_close(network.explain(*inputs)[0], network.step(*inputs))


@pytest.mark.parametrize("first", [0, 3, 5])
def test_explaining_the_first_steps_all(network, first):
    inputs = events(5)
    after, shares = network.explain(*inputs, first=first)
    whole, all_shares = network.explain(*inputs)
    torch.testing.assert_close(after, whole)
    assert shares.shape == (first, P)
    torch.testing.assert_close(shares, all_shares[:first])


def test_what_was_measured_long_ago_stays_in_memory(network):
    """Ten events later the memory still differs by a value that nothing carries any more."""
    h, values, carried, gap_h, static = events(1)
    other = values.clone()
    other[0, INDEX["pulse"]] = network.centre[INDEX["pulse"]] + 3 / network.scale[INDEX["pulse"]]
    states = [network.step(h, v, carried, gap_h, static) for v in (values, other)]
    for seed in range(10):
        _, *later = events(1, seed + 1)
        states = [network.step(state, *later) for state in states]
    memory = slice(network.config.hidden - network.config.memory, None)
    assert (states[0][0, memory] - states[1][0, memory]).abs().max() > 1e-3


def test_a_pause_ends_with_the_newest_column_that_training_saw():
    network = VitalsEncoder()
    network.used[INDEX["acvpu"]] = 0
    _, values, carried, gap_h, static = events(1)
    gap_h[:] = NAN
    for column, hours, expected in (("pulse", 5.0, [5 / 6, 5 / 11]), ("spo2", 0.5, [1 / 3, 1 / 13]),
                                    ("acvpu", 0.1, [1 / 3, 1 / 13])):  # fmt: skip
        gap_h[0, INDEX[column]] = hours
        np.testing.assert_allclose(network.features(values, carried, gap_h, static)[0, -2:], expected, rtol=1e-5)


def test_a_contribution_foretells_the_effect_of_an_ordinary_value(network):
    h, values, carried, gap_h, static = events(1)
    column = INDEX["pulse"]
    carried[0, column] = gap_h[0, column] = NAN
    values[0, column] = network.centre[column] + 0.01 / network.scale[column]
    ordinary = values.clone()
    ordinary[0, column] = network.centre[column]
    after, shares = network.explain(h, values, carried, gap_h, static)
    without = network.step(h, ordinary, carried, gap_h, static)
    effect = (network.heads(after) - network.heads(without))[0, 0]
    np.testing.assert_allclose(shares[0, column], effect, rtol=0.05)


def test_unknown_columns_contribute_nothing(network):
    h, values, carried, gap_h, static = events(8)
    _, shares = network.explain(h, values, carried, gap_h, static)
    unknown = values.isnan() & carried.isnan()
    assert unknown.any()
    assert (shares[unknown] == 0).all()


def test_columns_that_training_never_saw_are_ignored():
    torch.manual_seed(0)
    network = VitalsEncoder()
    network.used[INDEX["acvpu"]] = 0
    h, values, carried, gap_h, static = events(2)
    changed = [x.clone() for x in (values, carried, gap_h)]
    for x, value in zip(changed, (4.0, 3.0, 1.0), strict=True):
        x[:, INDEX["acvpu"]] = value
    torch.testing.assert_close(network.step(h, *changed, static), network.step(h, values, carried, gap_h, static))


def test_refuses_weights_made_for_other_columns():
    with pytest.raises(ValueError, match="another table of columns"):
        VitalsEncoder(VitalsConfig(columns=("pulse",)))


def test_refuses_weights_made_for_another_network():
    with pytest.raises(ValueError, match="another network"):
        VitalsEncoder(VitalsConfig(hidden=64))
