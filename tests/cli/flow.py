"""A flow that trains nothing: it stands in for ``cuvee.study.ablation`` and keeps what it was asked."""

from types import ModuleType
from typing import Any

import pytest

import cuvee.study
from cuvee.progress import Progress
from cuvee.study.config import StudyConfig
from cuvee.study.decision import Decision
from cuvee.study.folder import StudyFolder
from cuvee.study.status import StageStatus, StudyStatus
from tests.report.cases import small


class FakeFlow(ModuleType):
    """Answers every study with one decision, or raises what it is told to."""

    def __init__(self) -> None:
        super().__init__("cuvee.study.ablation")
        self.asked: list[tuple[StudyConfig, StudyFolder]] = []
        self.raises: BaseException | None = None
        self.stages = (
            StageStatus("train the pool", 2.5e6, 1e7, "tokens"),
            StageStatus("score", 0, 500, "merges"),
        )

    def run(self, config: StudyConfig, folder: StudyFolder, progress: Progress) -> Decision:
        self.asked.append((config, folder))
        progress.stage("train the pool", 1e6, "tokens")
        progress.advance(5e5, "web: loss 3.2")
        progress.message("a finding")
        if self.raises is not None:
            raise self.raises
        progress.advance(5e5)
        return small()

    def status(self, config: StudyConfig, folder: StudyFolder) -> StudyStatus:
        self.asked.append((config, folder))
        return StudyStatus(self.stages, 1.5e15)


def install(monkeypatch: pytest.MonkeyPatch) -> FakeFlow:
    """Put a fake in the place of the flow until the test ends."""
    flow: Any = FakeFlow()
    monkeypatch.setitem(__import__("sys").modules, "cuvee.study.ablation", flow)
    monkeypatch.setattr(cuvee.study, "ablation", flow, raising=False)
    return flow  # type: ignore[no-any-return]
