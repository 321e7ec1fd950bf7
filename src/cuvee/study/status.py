"""The status of a study as a value: its stages, and how much of each is done."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from cuvee.execution.tariff import CORES, HOUR, Tariff
from cuvee.study.realised import RealisedTraining
from cuvee.types import Json


@dataclass(frozen=True)
class StageStatus:
    """One stage of a study."""

    title: str
    done: float
    total: float
    unit: str
    """What ``done`` and ``total`` count."""

    @property
    def finished(self) -> bool:
        return self.done >= self.total


@dataclass(frozen=True)
class FlowStatus:
    """One of the flows of a study."""

    statement: str
    """Its answer where it has ended, else how far it is."""
    finished: bool = False
    beside: tuple[str, ...] = ()
    """Sentences: which runs failed and are missing."""


@dataclass(frozen=True)
class StudyStatus:
    """What is done, and what the same command would still do."""

    stages: tuple[StageStatus, ...]
    """In the order of the work."""
    flops: float
    """Floating-point operations spent so far, on ladders and searches too."""
    seconds: float = 0.0
    """Work time of all that is finished, summed over the cores or GPUs that worked."""
    tariff: Tariff = CORES
    """What computes, and its price."""
    begun: bool = False
    """A run has set out to train, whatever came of it so far."""
    answer: FlowStatus | None = None
    """Of ``cuvee run``; None where it has not ended."""
    ladder: FlowStatus | None = None
    """None where there is none."""
    search: FlowStatus | None = None
    """The last one; None where there is none."""
    swarm: FlowStatus | None = None
    """Of a trainer of the user's; None where it has made nothing."""
    trainer_alone: bool = False
    """The study file is one for `cuvee swarm`."""
    outdated: Mapping[str, str] = field(default_factory=dict)
    """Flow -> what its answer was made from that is no more."""
    untried: tuple[str, ...] = ()
    """What the study switches on that has not been run on such hardware."""
    realised: tuple[RealisedTraining, ...] = ()
    """What its trained models read of each source."""

    @property
    def finished(self) -> bool:
        return all(stage.finished for stage in self.stages)

    @property
    def resumable(self) -> bool:
        """Something is done or begun and something is left: running again goes on from there."""
        return not self.finished and (self.begun or any(stage.done > 0 for stage in self.stages))

    @property
    def run_is_meant(self) -> bool:
        """`cuvee run` has begun, or no other command has or is meant: its stages are of interest."""
        if self.begun or any(stage.done > 0 for stage in self.stages):
            return True
        return not self.trainer_alone and (self.ladder, self.search, self.swarm) == (None, None, None)

    @property
    def not_begun(self) -> str:
        """The sentence on a study of which nothing is made; empty where something is, or was asked for."""
        if self.run_is_meant:
            return "" if self.resumable or self.finished else "not begun; `cuvee run` begins it"
        nothing = (self.ladder, self.search, self.swarm) == (None, None, None)
        return "not begun; `cuvee swarm` begins it" if nothing else ""

    def as_json(self) -> Json:
        return {
            "stages": [{**asdict(stage), "finished": stage.finished} for stage in self.stages],
            "flops": self.flops,
            "work": self.tariff.as_json(self.seconds / HOUR),
            "finished": self.finished,
            "resumable": self.resumable,
            "answer": None if self.answer is None else asdict(self.answer),
            "ladder": None if self.ladder is None else asdict(self.ladder),
            "search": None if self.search is None else asdict(self.search),
            "swarm": None if self.swarm is None else asdict(self.swarm),
            "outdated": dict(self.outdated),
            "untried": list(self.untried),
            "realised": [one.as_json() for one in self.realised],
        }
