"""What a study is refused for before any text is read, which takes minutes on real data."""

from cuvee.errors import ConfigError
from cuvee.models.config import ModelConfig
from cuvee.models.hugging_face import describes_masked, mask_token
from cuvee.sources.tokenizer import load_tokenizer
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import CONFIG_NAME, StudyFolder
from cuvee.study.plan.mixtures import check_sources
from cuvee.study.plan.numerics import Numerics
from cuvee.study.plan.tasks import check_tasks


def check_first(config: StudyConfig, folder: StudyFolder) -> None:
    """All of it.

    Raises:
        ConfigError: there is one source alone, a key is still to be filled in, the study computes on a device
            that is not here, downstream tasks need a library that is missing or a model that reads forwards,
            or no model has that size.
        CheckpointError: a masked model was given whose tokenizer names no mask.
    """
    check_sources(config)
    if config.tokenizer.to_fill_in:
        raise ConfigError(
            f"{folder.root / CONFIG_NAME}: tokenizer.folder is still to be filled in: name the folder of the "
            "tokenizer that made the tokens of the sources"
        )
    Numerics.written(folder)
    check_tasks(config, folder)
    _check_size(config, folder)
    if config.model.folder is not None and describes_masked(config.model.folder):
        mask_token(config.model.folder)


def _check_size(config: StudyConfig, folder: StudyFolder) -> None:
    """A tokenizer that is trained may end with fewer tokens than were asked for: one that is there counts."""
    if config.model.parameters is None:
        return
    if config.tokenizer.folder is not None:
        vocabulary = load_tokenizer(config.tokenizer.folder).vocabulary_size
    elif config.tokenizer.vocabulary is None or folder.tokenizers.is_dir():
        return
    else:
        vocabulary = config.tokenizer.vocabulary
    ModelConfig.for_parameters(config.model.parameters, vocabulary, config.model.context_length)
