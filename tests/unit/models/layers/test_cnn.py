import numpy as np
import pytest
import torch

from models.layers.cnn import CNN
from models.layers.inverted import Inverted


def loop(x, weight, bias, stride):
    """y[o, i, j] = relu(b[o] + sum over c, u, v of W[o, c, u, v] x[c, i s + u - k // 2, j s + v - k // 2])."""
    outs, channels, k, _ = weight.shape
    _, height, width = x.shape
    rows, columns = -(-height // stride), -(-width // stride)
    y = np.zeros((outs, rows, columns))
    for o in range(outs):
        for i in range(rows):
            for j in range(columns):
                total = bias[o]
                for c in range(channels):
                    for u in range(k):
                        for v in range(k):
                            p, q = i * stride + u - k // 2, j * stride + v - k // 2
                            if 0 <= p < height and 0 <= q < width:
                                total += weight[o, c, u, v] * x[c, p, q]
                y[o, i, j] = max(total, 0.0)
    return y


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 7), (6, 5), (18, 18)])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (5, 2), (1, 2)])
def test_equals_the_loop_at_any_size(height, width, kernel, stride):
    torch.manual_seed(height * width + kernel)
    layer = CNN(2, 3, kernel=kernel, stride=stride)
    x = torch.randn(2, 2, height, width)
    y = layer(x).detach().numpy()
    weight, bias = (p.detach().double().numpy() for p in layer.convolution.parameters())
    for one, expected in zip(y, x.double().numpy(), strict=True):
        np.testing.assert_allclose(one, loop(expected, weight, bias, stride), atol=1e-5)


def test_activation_none_keeps_negative_values():
    torch.manual_seed(0)
    assert (CNN(1, 4, activation=None)(torch.randn(1, 1, 9, 9)) < 0).any()


def test_refuses_an_even_kernel():
    with pytest.raises(ValueError, match="odd"):
        CNN(1, 1, kernel=4)


def test_normalised_layer_in_eval_does_not_depend_on_the_batch():
    torch.manual_seed(0)
    layer = CNN(1, 4, normalise=True)
    layer(torch.randn(8, 1, 10, 10))  # gives the running statistics other values than 0 and 1
    layer.eval()
    x = torch.randn(5, 1, 10, 10)
    torch.testing.assert_close(layer(x)[2:3], layer(x[2:3]))


def test_folding_leaves_the_results_of_a_normalised_layer():
    torch.manual_seed(0)
    layer = CNN(2, 4, normalise=True)
    layer(torch.randn(8, 2, 10, 10) * 3 + 1)  # gives the running statistics other values than 0 and 1
    layer.eval()
    x = torch.randn(2, 2, 10, 10)
    before = layer(x)
    layer.fold()
    assert layer.norm is None
    torch.testing.assert_close(layer(x), before)


def test_as_many_groups_as_channels_keep_them_apart():
    torch.manual_seed(0)
    layer = CNN(3, 3, groups=3, activation=None)
    x = torch.randn(1, 3, 5, 5)
    other = x.clone()
    other[:, 1] += 1
    change = (layer(other) - layer(x)).abs().amax((0, 2, 3))
    assert change[1] > 0
    assert change[[0, 2]].max() == 0


@pytest.mark.parametrize(
    ("channels", "stride", "shape", "adds"), [(4, 1, (2, 4, 9, 7), 1), (4, 2, (2, 4, 5, 4), 0), (6, 1, (2, 6, 9, 7), 0)]
)
def test_inverted_adds_the_input_where_the_shape_stays(channels, stride, shape, adds):
    torch.manual_seed(0)
    block = Inverted(4, channels, stride=stride).eval()
    x = torch.randn(2, 4, 9, 7)
    y = block(x)
    assert y.shape == shape
    made = block.narrow(block.depthwise(block.widen(x)))
    torch.testing.assert_close(y, made + x if adds else made)
