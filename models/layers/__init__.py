"""The layers every network here is built from, each equal to its closed form."""

from __future__ import annotations

from models.layers.attention import MultiHeadAttention
from models.layers.cnn import CNN
from models.layers.gated import GatedRNN
from models.layers.inverted import Inverted
from models.layers.rnn import RNN

__all__ = ["CNN", "RNN", "GatedRNN", "Inverted", "MultiHeadAttention"]
