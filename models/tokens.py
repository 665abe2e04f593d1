"""Text to subword ids, with the place of each token in the text.

The vocabulary is a file of the artefact (tokenizer.json of the `tokenizers` library), made from training notes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

PAD = 0
FILE = "tokenizer.json"
_UNKNOWN = "[UNK]"
_LONGEST_TOKEN = 24  # characters a token may take on average; text beyond max_tokens times this is never read


def parsed(content: str) -> Any:
    """A tokenizer of the `tokenizers` library from the content of its file.

    Raises:
        ValueError: It is no such file.
    """
    try:
        return Tokenizer.from_str(content)
    except Exception as error:  # the library raises Exception itself
        raise ValueError(f"no tokenizer: {error}") from error


class Tokens(NamedTuple):
    """A batch of texts, padded to the longest.

    Attributes:
        ids: (B, T) int64, PAD where padded; T >= 1.
        mask: (B, T) bool, True where a token stands.
        offsets: (B, T, 2) int32, first character of the token in the text and the one after its last.
    """

    ids: NDArray[np.int64]
    mask: NDArray[np.bool_]
    offsets: NDArray[np.int32]


class NoteTokenizer:
    """A trained vocabulary.

    Args:
        tokenizer: Of the `tokenizers` library, with PAD as id 0.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    @classmethod
    def load(cls, file: Path) -> NoteTokenizer:
        """Read tokenizer.json; raises OSError or ValueError where it is missing or broken."""
        return cls(parsed(file.read_text(encoding="utf-8")))

    @classmethod
    def train(cls, texts: Iterable[str], vocabulary: int) -> NoteTokenizer:
        """Learn at most `vocabulary` lower-case subwords, each seen at least three times.

        Byte-pair encoding without a prefix for inner subwords: of the library's trainers this one gives the same
        vocabulary for the same texts, so that a training run can be repeated.
        """
        tokenizer = Tokenizer(models.BPE(unk_token=_UNKNOWN))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.BpeTrainer(
            vocab_size=vocabulary, min_frequency=3, special_tokens=["[PAD]", _UNKNOWN], show_progress=False
        )
        tokenizer.train_from_iterator(texts, trainer)
        return cls(tokenizer)

    def content(self) -> bytes:
        """What tokenizer.json holds."""
        return f"{self._tokenizer.to_str(pretty=False)}\n".encode()

    def save(self, file: Path) -> None:
        """Write tokenizer.json."""
        file.write_bytes(self.content())

    def __len__(self) -> int:
        return int(self._tokenizer.get_vocab_size())

    def encode(self, texts: Sequence[str], max_tokens: int) -> Tokens:
        """Split texts.

        Args:
            texts: B texts of any length; an empty one gives a row without tokens.
            max_tokens: Tokens kept, from the beginning.

        Returns:
            See `Tokens`.
        """
        cut = [text[: max_tokens * _LONGEST_TOKEN] for text in texts]
        encodings = self._tokenizer.encode_batch(cut, add_special_tokens=False)
        lengths = [min(len(encoding.ids), max_tokens) for encoding in encodings]
        width = max(1, *lengths) if lengths else 1
        ids = np.full((len(texts), width), PAD, np.int64)
        offsets = np.zeros((len(texts), width, 2), np.int32)
        for row, (encoding, length) in enumerate(zip(encodings, lengths, strict=True)):
            ids[row, :length] = encoding.ids[:length]
            if length:
                offsets[row, :length] = encoding.offsets[:length]
        return Tokens(ids, np.arange(width) < np.array(lengths, int)[:, None], offsets)
