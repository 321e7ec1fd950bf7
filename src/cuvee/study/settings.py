"""The sections of ``study.yaml``, one class a section (floor 7).

Each field carries its own words: they are the documentation, and the comments of the file that
``cuvee init`` writes. A field without a default here gets it from the dial (``effort.py``).
Relative paths are resolved against the folder that the validation context names.
"""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

Count = Annotated[int, Field(gt=0)]
NonNegativeCount = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


def resolved(path: str, info: ValidationInfo) -> str:
    """``path`` against the folder of the file that says it; names on the hub stay as they are."""
    if not path:
        raise ValueError("must not be empty")
    if path.startswith("hub:"):
        return path
    folder = (info.context or {}).get("folder", Path())
    return str(Path(folder).absolute() / Path(path).expanduser())


def resolved_folder(path: Path, info: ValidationInfo) -> Path:
    """The same for a path that is a folder on this machine."""
    return Path(resolved(str(path), info))


Location = Annotated[str, AfterValidator(resolved)]
Folder = Annotated[Path, AfterValidator(resolved_folder)]


class Settings(BaseModel):
    """What all sections share: unknown keys and infinite numbers are refused, values never change."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        protected_namespaces=(),
    )


class TextSettings(Settings):
    """Where text lies and how it is read."""

    paths: tuple[Location, ...] = ()
    """Files, folders, patterns, or `hub:NAME/CONFIG:SPLIT`; .txt .md .jsonl .json (.gz .zst .bz2 .xz)
    .parquet. READMEs, licences and the like are left out unless a path names them."""
    text_field: str = "text"
    """The field of a record that holds its text; `data.text` is one inside another, messages are joined."""
    allow_broken: bool = False
    """Skip and count records that cannot be read, instead of stopping."""
    chunk_characters: Count | None = None
    """Cut longer documents into pieces of about this many characters."""

    @model_validator(mode="before")
    @classmethod
    def _from_paths_alone(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"paths": [value]}
        if isinstance(value, list | tuple):
            return {"paths": value}
        if isinstance(value, Mapping) and isinstance(value.get("paths"), str):
            return {**value, "paths": [value["paths"]]}
        if not isinstance(value, Mapping | BaseModel):
            raise ValueError("must be a path, a list of paths, or keys such as `paths`")
        return value


class SourceSettings(TextSettings):
    """A named set of documents."""

    units: Count = 1
    """How many pool models the source is cut into, by document hash."""
    tokens: Count | None = None
    """Tokens of it that the target run can draw on; left out, those that are read are counted."""
    in_seed: bool = True
    """The seed model (and a tokenizer trained here) sees it. `cuvee add-source` says false, so that
    what is already trained stays as it is."""
    made_from: tuple[str, ...] = ()
    """The source above that it is a part of, or those that it holds together, all out of the `pool`; their
    documents are no duplicates of its own. `cuvee change` says so."""

    @model_validator(mode="after")
    def _has_paths(self) -> "SourceSettings":
        if not self.paths:
            raise ValueError("needs `paths`: a file, a folder or a list of them")
        return self


class EvaluationSettings(TextSettings):
    """What losses are measured on: the held-out part of a source, or text of its own."""

    source: str | None = None
    """The source whose held-out part is meant; instead of `paths`."""

    @model_validator(mode="after")
    def _one_origin(self) -> "EvaluationSettings":
        if (self.source is None) == (not self.paths):
            raise ValueError("needs either `source` (its held-out part) or `paths` (text of its own)")
        return self


class EvaluationsSettings(Settings):
    """The evaluations: held-out parts, and others by name."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, EvaluationSettings] = Field(init=False)

    held_out: bool = True
    """Measure on the held-out part of every source; evaluations named beside this key are added."""

    @property
    def named(self) -> dict[str, EvaluationSettings]:
        """The evaluations that the file lists, by name."""
        return dict(self.__pydantic_extra__)


class SplitSettings(Settings):
    """How documents are divided, by the hash of their text; the rest trains the pool."""

    evaluation: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Share of the documents of each source that is held out."""
    seed: Annotated[float, Field(ge=0, lt=1)] = 0.4
    """Share of the documents of each source that only the seed model sees."""

    @model_validator(mode="after")
    def _leaves_something(self) -> "SplitSettings":
        if self.evaluation + self.seed >= 1:
            raise ValueError("`evaluation` and `seed` together must stay below 1: the rest trains the pool")
        return self


class TokenizerSettings(Settings):
    """A tokenizer to train on the sources, or one that is there; with neither, that of `model.folder`."""

    vocabulary: Annotated[int, Field(ge=257)] | None = None
    """Entries of a byte-level BPE tokenizer trained on the sources."""
    folder: Folder | None = None
    """A folder with a Hugging Face tokenizer; instead of `vocabulary`."""

    @model_validator(mode="after")
    def _one_of_two(self) -> "TokenizerSettings":
        if self.vocabulary is not None and self.folder is not None:
            raise ValueError("give `vocabulary` or `folder`, not both")
        return self


class ModelSettings(Settings):
    """The model of the study: a new one of a size, or one that is there."""

    parameters: Annotated[int, Field(ge=1000)] | None = None
    """Parameters of the Llama-type seed model that the study trains, embeddings included."""
    context_length: Annotated[int, Field(ge=8)]
    """Tokens the model sees at once."""
    folder: Folder | None = None
    """A folder with a Hugging Face causal language model to branch from; instead of `parameters`."""

    @model_validator(mode="after")
    def _one_of_two(self) -> "ModelSettings":
        if (self.parameters is None) == (self.folder is None):
            raise ValueError("give either `parameters` (a new model) or `folder` (one that is there)")
        return self


_POWER_LAW_POINTS = 3  # as many as it has parameters

Schedule = Literal["linear", "constant", "cosine", "wsd"]


class TrainingSettings(Settings):
    """What every kind of training is told."""

    tokens: Count
    """Tokens trained on."""
    learning_rate: Positive
    """The highest learning rate."""
    warmup: Share = 0.0
    """Share of the training in which the learning rate rises from zero."""
    schedule: Schedule = "linear"
    """The learning rate after the warm-up: linear or cosine fall to zero, constant, or wsd."""
    decay: Annotated[float, Field(gt=0, le=1)] = 0.2
    """Share of the training in which a wsd schedule falls to zero, at its end."""
    batch_tokens: Count
    """Tokens in one step."""
    weight_decay: NonNegative = 0.1
    """Decoupled weight decay of the matrices (AdamW)."""
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.95)
    """Decay of the two moments of AdamW."""
    clip: Positive = 1.0
    """Largest norm of the gradient."""


class SeedTrainingSettings(TrainingSettings):
    """The training of the seed model, from which all branches start."""

    tokens: NonNegativeCount
    """Tokens trained on; 0 takes the model of `model.folder` as it is."""
    warmup: Share = 0.05
    """Share of the training in which the learning rate rises from zero."""
    schedule: Schedule = "constant"
    """The learning rate after the warm-up; constant, so that branches go on where the seed stopped."""
    mixture: str | dict[str, NonNegative] = "uniform"
    """`uniform`, `proportional` (to tokens), or weights by source; all sources take part."""

    @field_validator("mixture", mode="before")
    @classmethod
    def _known_mixture(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            if not any(value.values()):
                raise ValueError("at least one weight must be above zero")
            return value
        if value in ("uniform", "proportional"):
            return value
        raise ValueError(f"must be uniform, proportional or weights by source, not {value!r}")


class ReferenceTrainingSettings(TrainingSettings):
    """The training of the reference runs: the way the target run will be trained."""

    tail_average: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the training, at its end, over which the parameters are averaged; 0 keeps the last."""
    optimizer_state: Literal["restored", "fresh"] = "restored"
    """Go on with the seed's AdamW moments, or start them at zero."""


class BranchTrainingSettings(ReferenceTrainingSettings):
    """The training of the pool: one branch of the seed for each unit of data.

    A lower learning rate than the references' (a quarter to a half) tells mixtures of equally many
    sources apart better, the full one mixtures of different numbers of sources.
    """

    snapshots: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = ()
    """Fractions of the branch at which its parameters are kept too, besides the end."""
    seeds: Count = 1
    """How many branches of each unit, with other orders of the data."""


Design = Literal["mixed", "subsets", "dirichlet", "space_filling"]


class ReferencesSettings(Settings):
    """The mixtures that a model is really trained on, to judge and to calibrate the proxies."""

    count: NonNegativeCount
    """How many different mixtures."""
    replicates: NonNegativeCount
    """How many of them are trained a second time with another order of the data, for the noise."""
    design: Design = "mixed"
    """How they are chosen: subsets of sources, Dirichlet draws, an even spread, or some of each."""

    @model_validator(mode="after")
    def _not_more_replicates(self) -> "ReferencesSettings":
        if self.replicates > self.count:
            raise ValueError(f"{self.replicates} replicates of {self.count} references: at most one each")
        return self


class CandidatesSettings(Settings):
    """The mixtures that only the proxies score."""

    count: Count
    """How many."""
    design: Design = "mixed"
    """How they are chosen, as for the references."""


class CheckSettings(Settings):
    """How the decision is checked: the pick, equal and proportional shares are trained at fresh seeds."""

    seeds: NonNegativeCount
    """How often each of them is trained, all with the same seeds; 0 leaves the decision unchecked."""


class TargetSettings(Settings):
    """What is to be minimised: a weighted mean of the losses."""

    weights: dict[str, NonNegative] = {}
    """Weight of each evaluation; left out, all count the same."""

    @field_validator("weights")
    @classmethod
    def _something_counts(cls, value: dict[str, float]) -> dict[str, float]:
        if value and not any(value.values()):
            raise ValueError("at least one weight must be above zero")
        if not math.isfinite(sum(value.values())):
            raise ValueError("the weights are too large to be added up")
        return value


class TargetRunSettings(Settings):
    """The training that the decision is for."""

    tokens: Count | None = None
    """Tokens it will train on; left out, repetition is neither capped nor matched."""
    max_epochs: Positive = 4.0
    """How often a source may be repeated in it."""
    parameters: Count | None = None
    """Parameters of its model; left out, `cuvee scale` looks at one size of model only."""
    simulated_epoching: bool = True
    """Small runs read as small a part of each source that they repeat it as often as this run will."""


class ScaleSettings(Settings):
    """How `cuvee scale` gets from what can be paid to the target run."""

    budget_flops: Positive
    """FLOPs that all of its trainings may take together."""
    rungs: Annotated[int, Field(ge=2)] = 2
    """Scales at which the best mixture is sought; the mixtures found are trained one scale above."""
    step: Annotated[float, Field(gt=1)] = 3.0
    """From each scale to the next the tokens grow by this factor."""
    factors: tuple[Positive, ...] = (1 / 3, 3.0)
    """Each source in turn is given so many times as much as in the base run of equal amounts."""
    replicates: NonNegativeCount = 2
    """How often the base run of each scale is trained again, for the noise of a training."""
    seeds: NonNegativeCount = 2
    """How often each mixture found is trained at the scale above; 0 trusts them unseen."""
    least_amount: NonNegative = 0.2
    """No optimum gives a source less than this part of its amount in the base run."""
    power_law: Literal["likeliest", "published"] = "likeliest"
    """Power laws that weigh the noise, or ones that meet three runs exactly, as published."""

    @field_validator("factors")
    @classmethod
    def _differ(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(value) | {1.0}) < _POWER_LAW_POINTS:
            raise ValueError("give at least two different factors, none of them 1")
        return value

    @model_validator(mode="after")
    def _floor_is_met(self) -> "ScaleSettings":
        if self.least_amount >= 1:
            raise ValueError("`least_amount` must stay below 1: the optima are as large as the base run")
        if self.power_law == "published" and len(set(self.factors) | {1.0}) != _POWER_LAW_POINTS:
            raise ValueError("the published power law passes through three runs: give two `factors`")
        return self


class SearchSettings(Settings):
    """How `cuvee search` spends FLOPs, one experiment after another."""

    budget_flops: Positive
    """FLOPs that all of its experiments may take together, the pool included where it is not trained yet."""
    method: str = "cost_aware"
    """What chooses the next experiment."""
    target_tokens: Count | None = None
    """Tokens of its dearest trainings; left out, as many as let the budget pay for `target_runs` of them."""
    target_runs: Annotated[float, Field(ge=2)] = 8.0
    """How many of its dearest trainings the budget would pay for; at most they are as long as the target
    run."""
    scales: NonNegativeCount = 2
    """Scales below, at which trainings are cheaper."""
    step: Annotated[float, Field(gt=1)] = 3.0
    """From each scale to the next the tokens grow by this factor."""
    checkpoints: NonNegativeCount = 2
    """Places on the way of the dearest trainings at which one can be frozen, to go on later or never."""
    proxies: tuple[Literal["merged", "ensembled"], ...] = ("merged", "ensembled")
    """What else can be asked for, of a pool of branches; empty trains no pool."""
    batch: Count | None = None
    """Experiments made side by side; left out, one for each worker."""
    tolerance: NonNegative = 0.002
    """Stop when another mixture is hardly ever better by more nats per token; 0 spends the whole budget."""


class LimitsSettings(Settings):
    """Bounds that the mixture has to keep, in token shares."""

    minimum: dict[str, Share] = {}
    """Least share by source."""
    maximum: dict[str, Share] = {}
    """Largest share by source."""
    ratios: tuple[dict[str, Positive], ...] = ()
    """Groups of sources that keep a fixed ratio, such as `{a: 2, b: 1}`."""


def usable_cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
