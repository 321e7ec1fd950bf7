"""Every error cuvee raises on purpose.

    CuveeError
    ├── ConfigError             a file or an argument says something impossible
    │   └── SchemaError         a study or store written by another version
    ├── MixtureError            shares that are no mixture
    │   └── InfeasibleRegion    bounds or caps that no mixture can meet
    ├── SourceError             text that cannot be used
    │   ├── MissingSource       a path that is not there, or a pattern that matches nothing
    │   ├── BrokenRecord        a line or row that cannot be read (names file and line)
    │   └── EmptySource         nothing left to train or to evaluate on
    ├── CheckpointError         a checkpoint that cannot be read or trusted
    │   └── IncompatibleMembers models that must not be averaged
    ├── TrainingError           training stopped with a reason
    │   └── NonFiniteLoss
    ├── StoreError              the run store refused
    ├── DiskFull                no room for a file; what was there before is still there
    ├── OutOfMemory             the machine has no memory left; what is done is kept
    │   └── CardFull            a GPU has none
    ├── DeviceFailed            a GPU stopped or is gone
    ├── WorkerError             a job died in another process (shows its traceback)
    │   └── LostLease           a worker that was taken for lost may not publish
    └── RunsAwaited             runs are written as scripts and have not ended: nothing is wrong

Catch ``CuveeError`` at the edge; recover from the leaves. A message says what was wrong, where,
and what to do about it; the command line prints it and leaves with ``exit_code``.
"""


class CuveeError(Exception):
    """Base of all errors raised on purpose."""

    exit_code = 1


class ConfigError(CuveeError):
    """A configuration file or argument is wrong; the message names the file and the key."""

    exit_code = 2


class SchemaError(ConfigError):
    """The data on disk was written under another schema version."""


class MixtureError(CuveeError):
    """The numbers given are not a mixture."""

    exit_code = 2


class InfeasibleRegion(MixtureError):
    """No mixture meets all bounds, ratios and caps together."""


class SourceError(CuveeError):
    """Text that cannot be used."""

    exit_code = 3


class MissingSource(SourceError):
    """A path does not exist, or a pattern matches no file."""


class BrokenRecord(SourceError):
    """A record cannot be read; the message has file and line."""


class EmptySource(SourceError):
    """No document is left after reading, de-duplication and splitting."""


class CheckpointError(CuveeError):
    """A checkpoint is missing, damaged or of another model."""

    exit_code = 4


class IncompatibleMembers(CheckpointError):
    """Models of different ancestor, recipe or tokenizer must not be averaged."""


class TrainingError(CuveeError):
    """Training stopped; the message says at which step and why."""

    exit_code = 5


class NonFiniteLoss(TrainingError):
    """The loss or its gradient became infinite or not a number."""


class StoreError(CuveeError):
    """The run store is damaged, locked or contradicts what is being written."""

    exit_code = 6


class DiskFull(CuveeError):
    """The disk, a quota or a limit leaves no room for a file that is being written."""

    exit_code = 8


class OutOfMemory(CuveeError):
    """A GPU or the machine has no memory left for what is being computed."""

    exit_code = 9


class CardFull(OutOfMemory):
    """A GPU has no memory left for what is being computed."""


class DeviceFailed(CuveeError):
    """A GPU stopped in the middle of its work, or is gone."""

    exit_code = 10


class WorkerError(CuveeError):
    """A job failed in a worker process."""

    exit_code = 7


class LostLease(WorkerError):
    """A worker was taken for lost and its job given to another; what it makes is not published."""


class RunsAwaited(CuveeError):
    """Runs are written as scripts, and the work goes on when something has made them."""
