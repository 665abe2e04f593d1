"""Encoders of the BERT family from a local folder, run by our own attention layers.

The folder is what the common libraries write: config.json, model.safetensors, tokenizer.json. Nothing is fetched. Such
an encoder serves training only (`models.training.words`): it is too large to ship and too slow for a stream.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional as F

from models.layers.block import Block
from models.tokens import parsed

CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"

_ACTIVATIONS: Final[dict[str, Callable[[], nn.Module]]] = {
    "gelu": nn.GELU,
    "gelu_new": lambda: nn.GELU("tanh"),
    "gelu_pytorch_tanh": lambda: nn.GELU("tanh"),
    "relu": nn.ReLU,
}
_IN_BLOCK: Final = {
    "attention.self.query": "attention.query",
    "attention.self.key": "attention.key",
    "attention.self.value": "attention.value",
    "attention.output.dense": "attention.out",
    "attention.output.LayerNorm": "norm_attention",
    "intermediate.dense": "feed.0",
    "output.dense": "feed.2",
    "output.LayerNorm": "norm_feed",
}
_EMBEDDINGS: Final = {
    "word_embeddings": "words",
    "position_embeddings": "positions",
    "token_type_embeddings": "types",
    "LayerNorm": "norm",
}


class BertError(ValueError):
    """A folder holds no encoder that can be loaded; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class BertConfig:
    """Sizes, as config.json has them.

    Attributes:
        vocabulary: Entries of the tokenizer.
        dim: Width of a token.
        heads: Attention heads.
        blocks: Attention blocks.
        inner: Width between a block's two linear layers.
        most: Most tokens of a text.
        types: Kinds of token, as first and second text of a pair.
        eps: Added to the variance in the norms.
        activation: One of gelu (exact), gelu_new, gelu_pytorch_tanh, relu.
    """

    vocabulary: int
    dim: int
    heads: int
    blocks: int
    inner: int
    most: int = 512
    types: int = 2
    eps: float = 1e-12
    activation: str = "gelu"

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> BertConfig:
        """From the content of config.json.

        Raises:
            BertError: It is of another family, or of a kind that these layers do not compute.
        """
        if (family := given.get("model_type")) != "bert":
            raise BertError(f"model_type is {family}, not bert")
        if (kind := given.get("position_embedding_type", "absolute")) != "absolute":
            raise BertError(f"position_embedding_type is {kind}, not absolute")
        if given.get("is_decoder"):
            raise BertError("it is a decoder")
        if (activation := given.get("hidden_act", "gelu")) not in _ACTIVATIONS:
            raise BertError(f"hidden_act is {activation}, not one of {', '.join(_ACTIVATIONS)}")
        try:
            return cls(
                given["vocab_size"], given["hidden_size"], given["num_attention_heads"], given["num_hidden_layers"],
                given["intermediate_size"], given.get("max_position_embeddings", 512), given.get("type_vocab_size", 2),
                given.get("layer_norm_eps", 1e-12), activation,
            )  # fmt: skip
        except KeyError as error:
            raise BertError(f"{error.args[0]} is missing") from error


class Bert(nn.Module):
    """The encoder: embeddings of word piece, position and type, then post-norm blocks (Devlin et al. 2019).

    Args:
        config: Sizes.
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.config = config
        self.words = nn.Embedding(config.vocabulary, config.dim)
        self.positions = nn.Embedding(config.most, config.dim)
        self.types = nn.Embedding(config.types, config.dim)
        self.norm = nn.LayerNorm(config.dim, config.eps)
        self.blocks = nn.ModuleList(
            Block(
                config.dim, config.heads, config.inner, post_norm=True, eps=config.eps,
                activation=_ACTIVATIONS[config.activation](),
            )
            for _ in range(config.blocks)
        )  # fmt: skip

    def forward(self, ids: Tensor, mask: Tensor, types: Tensor | None = None) -> Tensor:
        """Encode.

        Args:
            ids: (B, T) int64, T <= most.
            mask: (B, T) bool, True where a token stands.
            types: (B, T) int64; None: all of type 0.

        Returns:
            (B, T, dim), the last block's output; what stands at padding means nothing.
        """
        kinds = self.types.weight[0] if types is None else self.types(types)
        x: Tensor = self.norm(self.words(ids) + self.positions.weight[: ids.shape[1]] + kinds)
        for block in self.blocks:
            x = block(x, mask)
        return x


class Encoder(NamedTuple):
    """A loaded folder.

    Attributes:
        network: In `eval()`, without gradients.
        tokenizer: Of the `tokenizers` library; it adds the marks of beginning and end.
        sha256: Of the weights.
    """

    network: Bert
    tokenizer: Any
    sha256: str

    @torch.inference_mode()
    def embed(self, texts: Sequence[str], *, batch: int = 32) -> Tensor:
        """Mean of the tokens' outputs, scaled to length 1 (Reimers and Gurevych 2019).

        Args:
            texts: N texts; of long ones the beginning is read.
            batch: Texts at a time, those of like length together.

        Returns:
            (N, dim).
        """
        encodings = self.tokenizer.encode_batch(list(texts))
        order = sorted(range(len(texts)), key=lambda i: len(encodings[i].ids))
        found = torch.zeros(len(texts), self.network.config.dim)
        for first in range(0, len(order), batch):
            rows = order[first : first + batch]
            width = max(1, *(len(encodings[i].ids) for i in rows))
            ids = torch.tensor([encodings[i].ids + [0] * (width - len(encodings[i].ids)) for i in rows])
            mask = torch.arange(width) < torch.tensor([[len(encodings[i].ids)] for i in rows])
            out = self.network(ids, mask) * mask[..., None]
            found[rows] = F.normalize(out.sum(1) / mask.sum(1, keepdim=True).clamp(min=1), dim=1)
        return found


def _renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names of the file to ours; what lies beside the encoder (pooler, heads of pre-training) is left out."""
    ours: dict[str, Tensor] = {}
    for name, tensor in state.items():
        room, _, rest = name.removeprefix("bert.").partition(".")
        layer, _, leaf = rest.rpartition(".")
        leaf = {"gamma": "weight", "beta": "bias"}.get(leaf, leaf)  # as the first releases named them
        if room == "embeddings" and layer in _EMBEDDINGS:
            ours[f"{_EMBEDDINGS[layer]}.{leaf}"] = tensor.float()
        elif room == "encoder" and layer.startswith("layer."):
            _, number, inside = layer.split(".", 2)
            ours[f"blocks.{number}.{_IN_BLOCK.get(inside, inside)}.{leaf}"] = tensor.float()
    return ours


def load_bert(folder: Path) -> Encoder:
    """Load a folder.

    Args:
        folder: With config.json, model.safetensors and tokenizer.json.

    Raises:
        BertError: A file is missing or unreadable, or it is no encoder of this family.
    """
    try:
        config = BertConfig.read(json.loads((folder / CONFIG).read_text(encoding="utf-8")))
        blob = (folder / WEIGHTS).read_bytes()
        tokenizer = parsed((folder / TOKENIZER).read_text(encoding="utf-8"))
        network = Bert(config)
        network.load_state_dict(_renamed(safetensors.torch.load(blob)))
    except FileNotFoundError as error:
        raise BertError(f"{folder} holds no encoder: {Path(str(error.filename)).name} is missing") from error
    except BertError as error:
        raise BertError(f"{folder / CONFIG} is of no encoder that can be loaded: {error}") from error
    except (SafetensorError, OSError, ValueError, RuntimeError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BertError(f"{folder} holds no encoder that can be loaded: {reason}") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(config.most)
    return Encoder(network.eval().requires_grad_(False), tokenizer, hashlib.sha256(blob).hexdigest())
