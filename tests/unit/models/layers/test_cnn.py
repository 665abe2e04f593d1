import numpy as np
import pytest
import torch

from models.layers.cnn import CNN
from models.layers.residual import Residual


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


@pytest.mark.parametrize(("channels", "stride", "shape"), [(4, 1, (2, 4, 9, 7)), (6, 2, (2, 6, 5, 4))])
def test_residual_adds_the_input_or_its_projection(channels, stride, shape):
    torch.manual_seed(0)
    block = Residual(4, channels, stride=stride).eval()
    x = torch.randn(2, 4, 9, 7)
    kept = x if block.shortcut is None else block.shortcut(x)
    y = block(x)
    assert y.shape == shape
    torch.testing.assert_close(y, torch.relu(kept + block.second(block.first(x))))
