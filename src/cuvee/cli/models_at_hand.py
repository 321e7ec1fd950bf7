"""Models that a user has at hand for valuation: what embeds documents, and what is asked about them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cuvee.valuation.embeddings import Embedder
    from cuvee.valuation.judge import LanguageJudge

Encoder = Annotated[
    str,
    typer.Option(
        "--encoder",
        metavar="LIBRARY=FOLDER",
        help="What embeds documents: model2vec=FOLDER or sentence-transformers=FOLDER. Default: the study's "
        "own seed model.",
    ),
]
Judge = Annotated[
    str,
    typer.Option(
        "--judge",
        metavar="FOLDER|URL#MODEL",
        help="Language model that is asked about documents: a model folder, or a server on this machine such "
        "as http://localhost:8000/v1#name (…/v1#chat:name for chat completions).",
    ),
]
_CHAT = "chat:"


def encoder_of(given: str) -> "Embedder | None":
    """The encoder of an option; None where none is given."""
    from cuvee.errors import ConfigError

    if not given:
        return None
    from cuvee.valuation.encoders import FolderEncoder

    library, _, path = given.partition("=")
    if not path:
        raise ConfigError(f"--encoder {given}: say LIBRARY=FOLDER, such as model2vec=models/potion")
    return FolderEncoder(library, Path(path))


def judge_of(given: str) -> "LanguageJudge | None":
    """The judge of an option; None where none is given."""
    from cuvee.errors import ConfigError

    if not given:
        return None
    from cuvee.valuation.clients import EndpointJudge, LocalJudge

    if not given.startswith(("http://", "https://")):
        return LocalJudge.open(Path(given))
    url, _, model = given.partition("#")
    if not model:
        raise ConfigError(f"--judge {given}: name the model behind a '#', such as {given}#name")
    if model.startswith(_CHAT):
        return EndpointJudge(url, model.removeprefix(_CHAT), "chat")
    return EndpointJudge(url, model)
