"""A made encoder of the BERT family, and the real one where its package is installed."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from models.bert import BertError, load_bert
from workers.datasets import pretrained

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "fever", "cough", "high", "##er", "no", "chest", "pain"]
CONFIG = {
    "model_type": "bert", "vocab_size": len(WORDS), "hidden_size": 12, "num_attention_heads": 3,
    "num_hidden_layers": 2, "intermediate_size": 20, "max_position_embeddings": 16, "type_vocab_size": 2,
    "layer_norm_eps": 1e-3, "hidden_act": "gelu",
}  # fmt: skip
TEXTS = ["fever no cough", "higher chest pain no fever", ""]


def made_state():
    """Random tensors under the names that files of this family use."""
    random = np.random.default_rng(5)
    shapes = {
        "embeddings.word_embeddings.weight": (11, 12),
        "embeddings.position_embeddings.weight": (16, 12),
        "embeddings.token_type_embeddings.weight": (2, 12),
        "embeddings.LayerNorm.weight": (12,),
        "embeddings.LayerNorm.bias": (12,),
        "pooler.dense.weight": (12, 12),
        "pooler.dense.bias": (12,),
    }
    for layer in range(2):
        of = f"encoder.layer.{layer}."
        for name in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            shapes |= {f"{of}{name}.weight": (12, 12), f"{of}{name}.bias": (12,)}
        shapes |= {f"{of}intermediate.dense.weight": (20, 12), f"{of}intermediate.dense.bias": (20,)}
        shapes |= {f"{of}output.dense.weight": (12, 20), f"{of}output.dense.bias": (12,)}
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes |= {f"{of}{name}.weight": (12,), f"{of}{name}.bias": (12,)}
    return {name: random.normal(0.2, 0.6, shape).astype(np.float32) for name, shape in shapes.items()}


def write_folder(folder, state=None, **config):
    (folder / "config.json").write_text(json.dumps(CONFIG | config))
    safetensors.numpy.save_file(made_state() if state is None else state, folder / "model.safetensors")
    tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def linear(state, name, x):
    return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def norm(state, name, x):
    scaled = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-3)
    return scaled * state[f"{name}.weight"] + state[f"{name}.bias"]


def reference(state, ids, types):
    """BERT as its paper has it, for one text without padding, in double precision."""
    s = {name: tensor.astype(np.float64) for name, tensor in state.items()}
    x = s["embeddings.word_embeddings.weight"][ids] + s["embeddings.position_embeddings.weight"][: len(ids)]
    x = norm(s, "embeddings.LayerNorm", x + s["embeddings.token_type_embeddings.weight"][types])
    for layer in range(2):
        of = f"encoder.layer.{layer}."
        q, k, v = (
            linear(s, f"{of}attention.self.{one}", x).reshape(len(ids), 3, 4) for one in ("query", "key", "value")
        )
        scores = np.einsum("qhd,khd->hqk", q, k) / 2.0  # the root of four, the width of a head
        weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
        mixed = np.einsum("hqk,khd->qhd", weights, v).reshape(len(ids), 12)
        x = norm(s, f"{of}attention.output.LayerNorm", x + linear(s, f"{of}attention.output.dense", mixed))
        inner = linear(s, f"{of}intermediate.dense", x)
        inner = inner * 0.5 * (1 + np.vectorize(math.erf)(inner / math.sqrt(2)))
        x = norm(s, f"{of}output.LayerNorm", x + linear(s, f"{of}output.dense", inner))
    return x


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path)


class TestMadeEncoder:
    def test_outputs_are_those_of_the_formulas(self, folder):
        network = load_bert(folder).network
        ids, types = np.array([2, 4, 8, 5, 3, 9, 3]), np.array([0, 0, 0, 0, 0, 1, 1])
        expected = reference(made_state(), ids, types)
        mask = torch.ones(1, 7, dtype=torch.bool)
        out = network(torch.from_numpy(ids)[None], mask, torch.from_numpy(types)[None])
        np.testing.assert_allclose(out[0].numpy(), expected, atol=1e-4)

    def test_embeddings_are_means_of_length_one_padded_or_not(self, folder):
        encoder = load_bert(folder)
        found = encoder.embed(TEXTS)
        for row, text in enumerate(TEXTS):
            ids = np.array(encoder.tokenizer.encode(text).ids)
            mean = reference(made_state(), ids, np.zeros(len(ids), int)).mean(0)
            np.testing.assert_allclose(found[row].numpy(), mean / np.linalg.norm(mean), atol=1e-5)

    def test_names_with_a_prefix_and_old_names_of_norms_load_alike(self, folder, tmp_path_factory):
        old = {
            f"bert.{name.replace('LayerNorm.weight', 'LayerNorm.gamma').replace('LayerNorm.bias', 'LayerNorm.beta')}": x
            for name, x in made_state().items()
        }
        other = write_folder(tmp_path_factory.mktemp("old"), old | {"cls.predictions.bias": np.zeros(11, np.float32)})
        torch.testing.assert_close(load_bert(other).embed(TEXTS), load_bert(folder).embed(TEXTS), rtol=0, atol=0)

    def test_a_text_longer_than_the_positions_is_cut(self, folder):
        encoder = load_bert(folder)
        assert len(encoder.tokenizer.encode("fever " * 40).ids) == 16
        assert encoder.embed(["fever " * 40]).isfinite().all()

    @pytest.mark.parametrize(
        ("config", "says"),
        [
            ({"model_type": "roberta"}, "model_type is roberta"),
            ({"hidden_act": "swish"}, "hidden_act is swish"),
            ({"position_embedding_type": "relative_key"}, "position_embedding_type"),
            ({"hidden_size": 24}, "size mismatch"),
            ({"num_attention_heads": 5}, "do not divide"),
        ],
    )
    def test_refuses_what_it_would_compute_wrongly(self, tmp_path, config, says):
        with pytest.raises(BertError, match=says):
            load_bert(write_folder(tmp_path, **config))

    @pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
    def test_names_the_file_that_is_missing_or_broken(self, folder, name):
        (folder / name).write_text("{")
        with pytest.raises(BertError):
            load_bert(folder)
        (folder / name).unlink()
        with pytest.raises(BertError, match=f"{name} is missing"):
            load_bert(folder)


class TestRealEncoder:
    @pytest.fixture
    def package(self):
        found = pretrained.minilm()
        if found is None:
            pytest.skip(f"the encoder is not installed: {pretrained.MINILM_INSTALL}")
        return found

    def test_embeddings_are_those_of_the_reference_implementation(self, package):
        stored = json.loads((Path(__file__).parent / "minilm_reference.json").read_text())
        encoder = load_bert(package)
        assert encoder.sha256 == stored["sha256"]
        found = encoder.embed(stored["texts"])
        np.testing.assert_allclose(found[:, :24].numpy(), np.array(stored["first_24"]), atol=1e-5)
