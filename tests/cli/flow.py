"""A flow that trains nothing: it stands in for ``cuvee.flows.ablation.flow`` and keeps what it was asked."""

from types import ModuleType
from typing import Any

import pytest

import cuvee.flows.ablation
from cuvee.decisions.ablation.decision import Decision
from cuvee.execution.interface import Executor
from cuvee.progress import Progress
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import StudyFolder
from tests.report.cases import small


class FakeFlow(ModuleType):
    """Answers every study with one decision, or raises what it is told to."""

    def __init__(self) -> None:
        super().__init__("cuvee.flows.ablation.flow")
        self.asked: list[tuple[StudyConfig, StudyFolder]] = []
        self.raises: BaseException | None = None

    def run(
        self, config: StudyConfig, folder: StudyFolder, progress: Progress, executor: Executor | None = None
    ) -> Decision:
        self.asked.append((config, folder))
        progress.stage("train the pool", 1e6, "tokens")
        progress.advance(5e5, "web: loss 3.2")
        progress.message("a finding")
        if self.raises is not None:
            raise self.raises
        progress.advance(5e5)
        return small()


def install(monkeypatch: pytest.MonkeyPatch) -> FakeFlow:
    """Put a fake in the place of the flow until the test ends."""
    flow: Any = FakeFlow()
    monkeypatch.setitem(__import__("sys").modules, "cuvee.flows.ablation.flow", flow)
    monkeypatch.setattr(cuvee.flows.ablation, "flow", flow)
    return flow
