"""A study opened: its text prepared, its runs planned, its store at hand."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from cuvee.decisions.evaluations import few_documents
from cuvee.errors import ConfigError
from cuvee.execution.devices import PROCESSOR, DeviceProcesses, processes_of
from cuvee.execution.interface import Executor
from cuvee.execution.leases import take_back_all
from cuvee.files import remove_leftovers
from cuvee.hashing import digest
from cuvee.progress import Progress, Silent
from cuvee.runs.store import RunStore, SourceRecord, UnitRecord
from cuvee.sources.mapped_tokens import MappedTokens
from cuvee.study.compile_cache import cache_environment
from cuvee.study.evaluation_rows import evaluation_rows
from cuvee.study.file.config import StudyConfig
from cuvee.study.file.folder import GENERATED, StudyFolder
from cuvee.study.plan.first_checks import check_first
from cuvee.study.plan.material import Material, prepare_material
from cuvee.study.plan.mixtures import changed_references, region_of
from cuvee.study.plan.numerics import Numerics
from cuvee.study.plan.plan import Plan
from cuvee.study.rework import trained_otherwise
from cuvee.study.runner import Runner
from cuvee.study.tracking import Tracked, tracked

_IMPORTED_ON_DEVICES = ("cuvee.study.plan.proxy_job", "torch._inductor.compile_fx")
"""All that computes and compiles there."""


@contextmanager
def opened(
    config: StudyConfig,
    folder: StudyFolder,
    progress: Progress | None = None,
    executor: Executor | None = None,
    looking: bool = False,
) -> Iterator[Runner]:
    """The runner of a study, its text prepared and its runs planned; see a flow's ``run``.

    Args:
        looking: only to look, perhaps while another process works on the study: what that one may be writing
            is left alone.

    Raises:
        ConfigError: see ``check_first``.
        CuveeError: text or limits that cannot be used.
    """
    progress = progress or Silent()
    check_first(config, folder)
    if not looking:
        take_back_all(folder.root)  # workers of a command that was killed may still be at work somewhere
        _tidy(folder)
    watched = nullcontext(None) if looking else tracked(config, folder, progress)
    with (
        watched as tracking,
        nullcontext(executor) if executor is not None else processes(config, folder) as workers,
    ):
        progress = progress if tracking is None else Tracked(progress, tracking)
        _start_devices(workers, folder)
        material = prepare_material(config, folder, workers, progress)
        _refuse_far_tokens(workers, material)
        region_of(config, available_tokens(config, material))  # limits are refused before any training
        for sentence in few_documents(evaluation_rows(material, config.target_weights)):
            progress.message(sentence)
        plan = Plan.of(config, folder, material)
        _tell_of_an_empty_store(folder, progress)
        if changed := changed_references(folder):
            progress.message(changed)
        with RunStore(folder.store) as store:
            store.check()
            if changed := trained_otherwise(plan, store):
                progress.message(changed)
            if not looking:
                _write_sources(store, config, material)
            yield Runner(plan, store, workers, progress, tracking)


def processes(config: StudyConfig, folder: StudyFolder) -> DeviceProcesses:
    """Where the jobs of a study run by default: CPU processes, and one worker a GPU that it computes on.

    There are fewer of both where several processes share a training.
    """
    workers = processes_of(PROCESSOR, config.workers, config.processes)
    return DeviceProcesses(workers, cache_environment(folder), _IMPORTED_ON_DEVICES, config.processes)


def _start_devices(workers: Executor | None, folder: StudyFolder) -> None:
    """Let the worker of a GPU come up while text is prepared: on a slow processor it takes ten seconds."""
    device = Numerics.device_of(folder)
    if isinstance(workers, DeviceProcesses) and device != PROCESSOR:
        workers.start(device)


def _refuse_far_tokens(workers: Executor | None, material: Material) -> None:
    """A shard that refers to the files of a source is of no use where these are not."""
    if not getattr(workers, "apart", False):
        return
    for (source, _), shard in material.shards.items():
        if isinstance(shard.tokens, MappedTokens):
            raise ConfigError(
                f"sources.{source}: its tokens stay in its own files, which nodes without a shared folder do "
                "not see; leave --artifacts out and let all nodes see them under the same path"
            )


def _tidy(folder: StudyFolder) -> None:
    with folder.unobserved() as alone:
        for place in (folder.root, *(folder.root / name for name in sorted(GENERATED))) if alone else ():
            remove_leftovers(place)


def _tell_of_an_empty_store(folder: StudyFolder, progress: Progress) -> None:
    """A file of no bytes is a store without runs to SQLite; here something was lost."""
    file, made = folder.store, any(folder.checkpoints.glob("[!.]*"))
    if made and file.is_file() and not file.stat().st_size:
        progress.message(
            f"{file} is empty (0 bytes), though models were trained: all that was measured is lost and is "
            "measured again; what is trained stays. If you have a copy of the file, stop and put it there."
        )


def available_tokens(config: StudyConfig, material: Material) -> dict[str, int]:
    """Tokens of each source of the pool that the target run can draw on."""
    return {name: config.sources[name].tokens or material.tokens(name) for name in config.pool_sources}


def _write_sources(store: RunStore, config: StudyConfig, material: Material) -> None:
    sources, units = [], []
    for name in config.sources:
        parts = [shard for (source, _), shard in material.shards.items() if source == name]
        sources.append(
            SourceRecord(
                name,
                digest(sorted(shard.content_hash for shard in parts)),
                sum(shard.documents for shard in parts),
                sum(len(shard.tokens) for shard in parts),
                sum(shard.bytes for shard in parts),
            )
        )
        for index, shard in enumerate(material.unit_shards(name)):
            size = shard.documents, len(shard.tokens), shard.bytes
            units.append(UnitRecord(f"{name}/unit-{index}", name, shard.content_hash, *size))
    store.write_sources(sources, units)
