import numpy as np
import pytest
import torch

from models.layers.gated import GatedRNN
from models.layers.rnn import RNN


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def parameters(layer):
    return (p.detach().double().numpy() for p in (layer.W, layer.U, layer.b))


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(7)


@pytest.mark.parametrize(("activation", "f"), [(torch.tanh, np.tanh), (torch.sigmoid, sigmoid)])
def test_rnn_equals_the_loop(activation, f):
    layer = RNN(3, 5, activation=activation)
    layer.b.data.normal_()
    x, h = torch.randn(2, 4, 3), torch.randn(2, 5)
    W, U, b = parameters(layer)
    states = layer(x, h).detach().numpy()
    for row in range(2):
        state = h[row].double().numpy()
        for t in range(4):
            state = f(W @ x[row, t].double().numpy() + U @ state + b)
            np.testing.assert_allclose(states[row, t], state, atol=1e-5)


def test_rnn_equals_that_of_torch():
    layer, reference = RNN(3, 5), torch.nn.RNN(3, 5, batch_first=True)
    reference.load_state_dict(
        {"weight_ih_l0": layer.W, "weight_hh_l0": layer.U, "bias_ih_l0": layer.b, "bias_hh_l0": torch.zeros(5)}
    )
    x = torch.randn(2, 6, 3)
    torch.testing.assert_close(layer(x), reference(x)[0])


def test_gated_rnn_equals_the_loop():
    layer = GatedRNN(3, 4)
    layer.gates.b.data.normal_()
    layer.candidate.b.data.normal_()
    (W, U, b), (Wn, Un, bn) = parameters(layer.gates), parameters(layer.candidate)
    x = torch.randn(2, 5, 3)
    states = layer(x).detach().numpy()
    for row in range(2):
        h = np.zeros(4)
        for t in range(5):
            now = x[row, t].double().numpy()
            z, r = np.split(sigmoid(W @ now + U @ h + b), 2)
            n = np.tanh(Wn @ now + Un @ (r * h) + bn)
            h = z * h + (1 - z) * n
            np.testing.assert_allclose(states[row, t], h, atol=1e-5)


@pytest.mark.parametrize("layer", [RNN(3, 4), GatedRNN(3, 4)], ids=["plain", "gated"])
def test_steps_from_a_carried_state_equal_the_sequence(layer):
    x, h = torch.randn(3, 6, 3), torch.zeros(3, 4)
    states = layer(x)
    for t in range(6):
        h = layer.step(x[:, t], h)
        torch.testing.assert_close(h, states[:, t])


def test_closed_form_gradient_equals_autograd():
    layer, readout = GatedRNN(5, 4), torch.randn(4)
    x, h = torch.randn(3, 5, requires_grad=True), torch.randn(3, 4)
    after, gradient = layer.step_with_gradient(x, h, readout, first=3)
    expected_after = layer.step(x, h)
    (expected,) = torch.autograd.grad((expected_after @ readout).sum(), x)
    torch.testing.assert_close(after, expected_after)
    torch.testing.assert_close(gradient, expected)
