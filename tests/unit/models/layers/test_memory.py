import pytest
import torch

from models.layers.memory import LeakyMemory


@pytest.fixture
def memory():
    torch.manual_seed(0)
    return LeakyMemory(5, 3)


def test_steps_equal_the_sequence(memory):
    x, m = torch.randn(2, 7, 5), torch.zeros(2, 3)
    states = memory(x)
    for t in range(7):
        m = memory.step(x[:, t], m)
        torch.testing.assert_close(m, states[:, t])


def test_what_stays_the_same_is_its_mean_at_last(memory):
    x = torch.randn(1, 5)
    states = memory(x.expand(1, 2000, 5))
    torch.testing.assert_close(states[:, -1], x @ memory.V.T, atol=1e-4, rtol=0)


def test_units_forget_at_different_rates(memory):
    """After one input the first unit, the shortest, loses two fifths a step and the last a sixtieth."""
    states = memory(torch.cat((torch.ones(1, 1, 5), torch.zeros(1, 1, 5)), 1))
    kept = (states[0, 1] / states[0, 0]).tolist()
    assert kept == pytest.approx([0.6065, 0.9128, 0.9835], abs=1e-3)


def test_the_gradient_is_that_of_autograd(memory):
    x, m, readout = torch.randn(4, 5, requires_grad=True), torch.randn(4, 3), torch.randn(4, 3)
    (expected,) = torch.autograd.grad((memory.step(x, m) * readout).sum(), x)
    torch.testing.assert_close(memory.gradient(readout), expected)
