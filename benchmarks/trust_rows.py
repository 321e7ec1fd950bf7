"""One study of ``make bench-trust``: what it said, and what more trainings than its own say of that.

A row is plain JSON, written as soon as the study ends, so that the benchmark goes on where it stopped.
"""

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.ablation_study import ROOT
from benchmarks.trust_study import TrustStudy, Truth
from cuvee.decisions.ablation.decision import Decision
from cuvee.decisions.check import EQUAL, PICK, PROPORTIONAL
from cuvee.evaluation.paired import compare
from cuvee.evaluation.scores import Scores
from cuvee.execution.local import ResidentProcesses
from cuvee.files import write_json
from cuvee.flows.ablation.conclude import conclude
from cuvee.flows.ablation.flow import investigate
from cuvee.honesty.trainings import pooled_noise
from cuvee.mixture.mixture import Mixture
from cuvee.progress import Progress
from cuvee.study.opening import opened
from cuvee.study.plan.mixtures import baselines
from cuvee.study.runner import Runner
from cuvee.types import FloatArray, Json

FRESH = 3
"""Fresh trainings of each mixture, at least."""
MORE_FRESH = 5
"""The same where a difference is within two standard errors."""
EARLIER = "07f2d23"
"""The version before decisions were checked by training."""
EARLIER_PICK = "earlier pick"


def row_of(study: TrustStudy, progress: Progress, earlier: bool = False) -> Json:
    """Answer a study, measure the truth of its answer, and forget its models.

    Args:
        study: which.
        progress: of stages.
        earlier: ask the version before too, and train what it picks.
    """
    file = study.folder.with_suffix(".json")
    if file.is_file():
        found: Json = json.loads(file.read_text(encoding="utf-8"))
        return found
    began = time.monotonic()
    config, folder = study.prepared()
    with ResidentProcesses(config.workers) as workers, opened(config, folder, progress, workers) as runner:
        findings = investigate(runner)
        decision = conclude(findings, runner)
        answered = time.monotonic() - began
        mixtures = dict(
            zip((EQUAL, PROPORTIONAL), baselines(findings.region, findings.available), strict=True)
        )
        mixtures = {PICK: Mixture.of(decision.shares()).reindexed(config.pool_sources)} | mixtures
        said = earlier_answer(study) if earlier else None
        if said is not None:
            mixtures[EARLIER_PICK] = Mixture.of(said["mixture"]).reindexed(config.pool_sources)
        assert findings.references is not None  # every study has some
        truth = truth_of(runner, study, mixtures, findings.references.mixtures)
    row = {
        "study": study.number,
        "settings": study.settings(),
        "verdict": decision.verdict.standing,
        "predicted": {gain.baseline: [gain.difference, gain.low, gain.high] for gain in decision.gains},
        "measured": measured_of(decision),
        "optimism": decision.optimism,
        "calibrator": decision.believed_proxy,
        "believed": decision.believed,
        "errors": errors_of(decision),
        "mixtures": {name: one.as_dict() for name, one in mixtures.items()},
        "truth": truth,
        "earlier": said,
        "seconds": answered,
    }
    write_json(file, row)
    shutil.rmtree(study.folder)
    return row


def measured_of(decision: Decision) -> dict[str, list[float]]:
    """Baseline -> difference of the pick, and its interval, by the study's own fresh trainings."""
    if decision.check is None:
        return {}
    return {one.baseline: [one.difference, one.low, one.high] for one in decision.check.comparisons}


def errors_of(decision: Decision) -> dict[str, list[float]]:
    """Baseline -> standard errors of the measured difference by trainings and by documents."""
    if decision.check is None:
        return {}
    return {one.baseline: [one.training_error, one.document_error] for one in decision.check.comparisons}


def truth_of(
    runner: Runner, study: TrustStudy, mixtures: Mapping[str, Mixture], references: Sequence[Mixture]
) -> Json:
    """Fresh trainings of the mixtures, and the references, on text that the study has never seen."""
    truth = Truth.of(runner, study.folder)
    documents, target = (
        truth.runner.documents,
        truth.runner.documents.target(runner.plan.config.target_weights),
    )
    names = list(mixtures)
    for seeds in (FRESH, MORE_FRESH):
        scores = truth.scores(list(mixtures.values()), range(seeds))
        losses = np.stack([one.nats_per_token @ target for one in scores])
        errors = {name: _error(scores, losses, place, target) for place, name in enumerate(names) if place}
        if all(
            abs(losses[0].mean() - losses[place].mean()) >= 2 * errors[names[place]]
            for place in range(1, len(names))
        ):
            break
    trained = np.concatenate([[one.nats.mean(axis=0) for one in scores], truth.references(references).nats])
    best, regret, worst = _regret(Scores(documents, trained), target)
    return {
        "losses": {name: row.tolist() for name, row in zip(names, losses, strict=True)},
        "error": errors,
        "noise": float(np.sqrt(pooled_noise([_distinct(losses, mixtures)]).variance)),
        "tokens": int(documents.evaluation_tokens.min()),
        "best": best,
        "regret": regret,
        "worst_less_best": worst,
    }


def _distinct(losses: FloatArray, mixtures: Mapping[str, Mixture]) -> FloatArray:
    keys = [one.key for one in mixtures.values()]
    return losses[[keys.index(key) for key in dict.fromkeys(keys)]]


def _error(scores: Sequence[Scores], losses: FloatArray, place: int, target: FloatArray) -> float:
    """Standard error of the pick's difference to another mixture: trainings and documents."""
    documents = scores[0].documents
    pick, other = (Scores(documents, one.nats.mean(axis=0)) for one in (scores[0], scores[place]))
    _, by_documents = compare(pick, other).weighted(target)
    apart = losses[0] - losses[place]
    # A few paired differences give a poor variance, that of all mixtures together may be another's: the mean
    # of the two leans to neither side (the larger of the two would make every judgement look right).
    variance = 0.5 * (apart.var(ddof=1) + 2.0 * pooled_noise([losses]).variance)
    return float(np.sqrt(variance / len(apart) + by_documents**2))


def _regret(scores: Scores, target: FloatArray) -> tuple[int, float, float]:
    """Which of all trained mixtures is best on one half of the documents, by how much the first is worse on
    the
    other half, and how far worst and best lie apart there."""
    documents = scores.documents
    chosen = np.arange(len(documents.tokens)) % 2.0
    on_one, on_other = (documents.means(scores.nats, one) @ target for one in (chosen, 1.0 - chosen))
    best = int(np.argmin(on_one))
    return best, float(on_other[0] - on_other[best]), float(on_other[int(np.argmax(on_one))] - on_other[best])


def earlier_answer(study: TrustStudy) -> Json:
    """What the earlier version says of the same study: its pick, its gain over equal shares, its badge."""
    checkout = study.folder.parent / f"checkout-{EARLIER}"
    if not checkout.is_dir():
        subprocess.run(["git", "worktree", "add", "--detach", str(checkout), EARLIER], cwd=ROOT, check=True)
    folder = study.folder.with_name(f"{study.number:04d}-earlier")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shutil.copytree(study.folder / "text", folder / "text")
    settings = {key: value for key, value in study.settings().items() if key != "megabytes"}
    (folder / "study.yaml").write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "cuvee", "run", str(folder), "--json"],
        env={"PYTHONPATH": str(checkout / "src"), "PATH": "/usr/bin:/bin", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    seconds = time.monotonic() - began
    decision: Any = json.loads(done.stdout)
    shutil.rmtree(folder)
    line = next(line for line in decision["headline"] if "against equal shares" in line)
    numbers = [float(one) for one in re.findall(r"[-+]\d+\.\d+", line)]
    return {
        "mixture": {entry["source"]: entry["share"] for entry in decision["mixture"]},
        "predicted": numbers,
        "believed": decision["believed"],
        "seconds": seconds,
    }
