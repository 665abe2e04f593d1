import numpy as np
import pytest
import torch

from models.layers.attention import MultiHeadAttention


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(3)


def closed_form(layer, query, key, value, key_mask):
    """softmax(Q K^T / sqrt(d_k)) V in each head, one head and one query at a time."""
    q, k, v = layer.query(query), layer.key(key), layer.value(value)
    width = q.shape[-1] // layer.heads
    joined = torch.zeros_like(q)
    for row in range(len(q)):
        for head in range(layer.heads):
            part = slice(head * width, (head + 1) * width)
            for t in range(q.shape[1]):
                score = k[row, :, part] @ q[row, t, part] / np.sqrt(width)
                weight = torch.exp(score - score.max()) * key_mask[row]
                joined[row, t, part] = (weight / weight.sum()) @ v[row, :, part]
    return layer.out(joined)


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_equals_the_closed_form_with_masked_keys(heads):
    layer = MultiHeadAttention(8, heads)
    query, key, value = torch.randn(3, 4, 8), torch.randn(3, 6, 8), torch.randn(3, 6, 8)
    mask = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 0, 0, 1, 0, 1], [0, 0, 1, 0, 0, 0]], dtype=torch.bool)
    torch.testing.assert_close(layer(query, key, value, mask), closed_form(layer, query, key, value, mask))


def test_equals_that_of_torch_with_the_same_weights():
    layer = MultiHeadAttention(12, 3)
    reference = torch.nn.MultiheadAttention(12, 3, batch_first=True)
    three = (layer.query, layer.key, layer.value)
    reference.in_proj_weight.data.copy_(torch.cat([one.weight for one in three]))
    reference.in_proj_bias.data.copy_(torch.cat([one.bias for one in three]))
    reference.out_proj.load_state_dict(layer.out.state_dict())
    x, mask = torch.randn(2, 7, 12), torch.rand(2, 7) > 0.4
    mask[:, 0] = True
    expected, _ = reference(x, x, x, key_padding_mask=~mask)
    torch.testing.assert_close(layer(x, x, x, mask), expected)


def test_heads_attend_separately():
    one, four = MultiHeadAttention(8, 1), MultiHeadAttention(8, 4)
    four.load_state_dict(one.state_dict())
    x = torch.randn(1, 5, 8)
    assert not torch.allclose(one(x, x, x), four(x, x, x), atol=1e-3)


def test_masked_keys_do_not_matter():
    layer = MultiHeadAttention(8, 2)
    x, mask = torch.randn(1, 5, 8), torch.tensor([[True, True, False, True, False]])
    other = torch.where(mask[..., None], x, 1e3)
    torch.testing.assert_close(layer(x, x, x, mask), layer(x, other, other, mask))


def test_a_query_without_keys_gets_the_output_bias():
    layer = MultiHeadAttention(8, 2)
    x = torch.randn(2, 3, 8)
    y = layer(x, x, x, torch.tensor([[False] * 3, [True] * 3]))
    torch.testing.assert_close(y[0], layer.out.bias.expand(3, 8))


def test_refuses_heads_that_do_not_divide_the_width():
    with pytest.raises(ValueError, match="do not divide"):
        MultiHeadAttention(10, 4)
