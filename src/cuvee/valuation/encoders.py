"""Encoders of others, in a folder on this machine: they embed documents instead of the study's own proxy.

    model2vec                static vectors of tokens, averaged: fast on a CPU (extra ``model2vec``)
    sentence-transformers    a transformer for sentences (extra ``sentence-transformers``)

Each reads the beginning of a document, as long as its own settings say. Nothing is downloaded, and no code in
a folder is run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from cuvee.errors import ConfigError
from cuvee.hashing import digest, digest_file
from cuvee.lookup import row_named
from cuvee.types import Float32Array, IntArray
from cuvee.valuation.document_table import DocumentTable
from cuvee.valuation.substrates import NotAtHand

MOST_TOKENS = 8192
"""Tokens of a document that an encoder is given, the study's: more than any of them reads by itself."""

Encode = Callable[[Sequence[str]], Float32Array]
"""Texts to vectors [texts, d]."""


@dataclass(frozen=True, eq=False)
class FolderEncoder:
    """A model in a folder, opened when it is first needed.

    Raises:
        ConfigError: the library is none of ``ENCODERS``.
        NotAtHand: the folder or the library is not there.
    """

    library: str
    """A row of ``ENCODERS``."""
    folder: Path

    def __post_init__(self) -> None:
        row_named(ENCODERS, self.library, "encoder")
        if not self.folder.is_dir():
            raise NotAtHand(
                f"{self.folder}: no such folder; an encoder must lie on this machine, so save a "
                f"{self.library} model there first"
            )

    @cached_property
    def key(self) -> str:
        """Hash of the library's name and of all files in the folder."""
        files = sorted(path for path in self.folder.rglob("*") if path.is_file())
        contents = [[path.relative_to(self.folder).as_posix(), digest_file(path)] for path in files]
        return digest(["encoder", self.library, contents])

    @cached_property
    def width(self) -> int:
        """Of the vector of one word."""
        return int(self.encode(["word"]).shape[1])

    def embed(self, documents: DocumentTable, rows: IntArray) -> Float32Array:
        """See ``Embedder.embed``."""
        beginnings = (documents.document(int(row))[:MOST_TOKENS].tolist() for row in rows)
        return self.encode([documents.tokenizer.decode(tokens) for tokens in beginnings])

    @cached_property
    def encode(self) -> Encode:
        """The opened model.

        Raises:
            NotAtHand: the library is not installed.
            ConfigError: the library cannot open the folder.
        """
        try:
            return ENCODERS[self.library](self.folder)
        except ImportError as error:
            raise NotAtHand(
                f"{self.folder}: needs {self.library}, which is not installed ({error}): "
                f"pip install 'cuvee[{self.library}]'"
            ) from error
        except Exception as error:  # libraries raise what they like where a file is missing or damaged
            raise ConfigError(f"{self.folder}: {self.library} cannot open it ({error})") from error


def _model2vec(folder: Path) -> Encode:
    from model2vec import StaticModel

    model = StaticModel.from_pretrained(folder)

    def encode(texts: Sequence[str]) -> Float32Array:
        return np.asarray(model.encode(list(texts), use_multiprocessing=False), dtype=np.float32)

    return encode


def _sentence_transformers(folder: Path) -> Encode:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True, trust_remote_code=False)

    def encode(texts: Sequence[str]) -> Float32Array:
        return np.asarray(model.encode(list(texts), show_progress_bar=False), dtype=np.float32)

    return encode


ENCODERS: dict[str, Callable[[Path], Encode]] = {
    "model2vec": _model2vec,
    "sentence-transformers": _sentence_transformers,
}
