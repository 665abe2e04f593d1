import pytest
import torch

from models.imaging import ImagingEncoder


@pytest.fixture
def network(bundle):
    return bundle.imaging


def test_an_image_encodes_the_same_alone_as_in_a_batch(network):
    torch.manual_seed(0)
    x = torch.rand(5, 1, 224, 224)
    whole, alone = network(x), network(x[3:4])
    for one, many in zip(alone, whole, strict=True):
        torch.testing.assert_close(one[0], many[3], atol=1e-4, rtol=0)


def test_shapes(network):
    out = network(torch.rand(2, 1, 224, 224))
    assert out.embedding.shape == (2, 32)
    assert out.logits.shape == (2, 3)
    assert out.cam.shape == (2, 7, 7)


def test_map_adds_up_to_what_it_explains(network):
    torch.manual_seed(1)
    out = network(torch.rand(4, 1, 224, 224))
    finding = out.logits[:, 1:].argmax(1) + 1
    bias = network.head.bias
    margin = out.logits.gather(1, finding[:, None])[:, 0] - out.logits[:, 0] - (bias[finding] - bias[0])
    torch.testing.assert_close(out.cam.mean((1, 2)), margin, atol=1e-4, rtol=0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -5.0, 1e30])
def test_stays_finite_whatever_comes_in(network, value):
    out = network(torch.full((1, 1, 224, 224), value))
    assert out.logits.isfinite().all()
    assert out.cam.isfinite().all()


def test_novelty_sees_where_light_falls_even_where_findings_do_not_need_it(network):
    """The appearance ends with the mean grey of 4 x 4 tiles."""
    x = torch.full((1, 1, 224, 224), 0.5)
    brighter = x.clone()
    brighter[..., :56, :56] = 1.0
    before, after = (network(each).appearance[0, -16:] for each in (x, brighter))
    assert (after - before).abs().argmax() == 0
    assert (after - before)[1:].abs().max() < 1e-5


def test_brightness_and_contrast_of_the_whole_film_do_not_count(network):
    torch.manual_seed(2)
    x = 0.3 + 0.4 * torch.rand(2, 1, 224, 224)
    before, after = network(x).logits, network(0.8 * x + 0.1).logits
    torch.testing.assert_close(after, before, atol=0.02, rtol=0.02)


def test_folding_the_normalisation_leaves_the_results():
    torch.manual_seed(3)
    network = ImagingEncoder()
    network(torch.rand(4, 1, 224, 224))  # gives the running statistics other values than 0 and 1
    network.eval()
    folded = network.folded()
    assert not folded.config.normalise
    x = torch.rand(3, 1, 224, 224)
    torch.testing.assert_close(folded(x).logits, network(x).logits, atol=1e-4, rtol=1e-4)
    assert ImagingEncoder(folded.config).state_dict().keys() == folded.state_dict().keys()
