"""Text to word pieces, with the place of each in the text.

The vocabulary is a file of the artefact (tokenizer.json of the `tokenizers` library): whole words first of all, and
pieces for the words that it lacks, a piece inside a word with "##" before it (WordPiece).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from string import ascii_lowercase, digits, punctuation
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

PAD = 0
_UNKNOWN = "[UNK]"
UNKNOWN = 1
FILE = "tokenizer.json"
INSIDE: Final = "##"
"""Before a piece that continues a word."""

_LONGEST_TOKEN = 24  # characters a token may take on average; text beyond max_tokens times this is never read
_PLAIN = re.compile(f"({INSIDE})?[!-~]+")


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
    """A vocabulary.

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
    def build(cls, texts: Iterable[str], *, least: int = 2, pieces: Iterable[str] | None = None) -> NoteTokenizer:
        """A vocabulary of plain ASCII, the same for the same texts.

        Args:
            texts: Lower-case words of these, as far as enough of the texts have them, become tokens.
            least: In how many texts a word must stand.
            pieces: For other words; None: single characters.
        """
        single = [*ascii_lowercase, *digits, *punctuation]
        given = [*single, *(INSIDE + one for one in single)] if pieces is None else list(pieces)
        splitter = cls(_splitter({"[PAD]": PAD, "[UNK]": UNKNOWN}))
        seen = Counter(word for text in texts for word in set(splitter.words(text)))
        own = sorted(word for word, count in seen.items() if count >= least)
        vocabulary = dict.fromkeys(["[PAD]", "[UNK]", *(one for one in [*given, *own] if _PLAIN.fullmatch(one))])
        return cls(_splitter({word: number for number, word in enumerate(vocabulary)}))

    def words(self, text: str) -> list[str]:
        """Lower-case words, numbers and single punctuation marks."""
        normal = self._tokenizer.normalizer.normalize_str(text)
        return [word for word, _ in self._tokenizer.pre_tokenizer.pre_tokenize_str(normal)]

    def vocabulary(self) -> list[str]:
        """Every token, by id."""
        return [word for word, _ in sorted(self._tokenizer.get_vocab().items(), key=lambda one: int(one[1]))]

    def content(self) -> bytes:
        """What tokenizer.json holds."""
        return (str(self._tokenizer.to_str(pretty=False)) + "\n").encode()

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


def _splitter(vocabulary: dict[str, int]) -> Any:
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token=_UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer
