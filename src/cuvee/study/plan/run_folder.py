"""RunFolder: the folder of one run of a trainer of the user's.

    mixture.json    the mixture, in the format that the study asks for (its usual name there)
    run.sh          the command; needs a shell and the trainer, nothing of cuvee
    log.txt         what it said, all attempts one behind the other
    exit            how the last attempt ended: its exit status, or `timeout`; none: it has not ended
    seconds         how long each attempt took that ended, one a line
    training        the key of the training; runs that differ in what is measured have the same
    output/         what the trainer leaves; kept from one attempt to the next

A run is the same whoever starts ``run.sh``: this machine, a scheduler, or a person.
"""

import math
import shlex
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cuvee.files import write_text
from cuvee.study.file.command import MIXTURE, OUTPUT, CommandTemplate

TIMEOUT = "timeout"
_TRAINING = "training"
_LAST_LINES = 5
_LONGEST_LINE = 300


@dataclass(frozen=True)
class RunFolder:
    """Paths, and what lies there."""

    path: Path

    @property
    def script(self) -> Path:
        return self.path / "run.sh"

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    @property
    def exit_file(self) -> Path:
        return self.path / "exit"

    @property
    def output(self) -> Path:
        return self.path / "output"

    def share(self, other: Path) -> None:
        """Take the folder of a run that is trained alike for this one, too, unless it has its own."""
        if not self.path.exists():
            self.path.symlink_to(other.name, target_is_directory=True)

    @property
    def place(self) -> Path:
        """The folder itself, where it is shared with another run."""
        return self.path.resolve() if self.path.is_symlink() else self.path

    def prepare(self, mixture: tuple[str, str], script: str, training: str) -> None:
        """Write what a run needs; what lies there as it is wanted is left alone, as a run may be reading it.

        Args:
            mixture: name and text of its file.
            script: see ``script_of``.
            training: its key.
        """
        if self.path.is_symlink() and not self.path.exists():
            self.path.unlink()  # somebody has deleted what it shared
        wanted = {self.path / mixture[0]: mixture[1], self.script: script, self.path / _TRAINING: training}
        for path, text in wanted.items():
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                write_text(path, text)

    def begin(self) -> None:
        """Forget how an earlier attempt ended."""
        self.exit_file.unlink(missing_ok=True)

    def end(self, status: str) -> None:
        """Write down how an attempt ended that could not do so itself."""
        write_text(self.exit_file, f"{status}\n")

    @property
    def ended(self) -> str:
        """How the last attempt ended; empty where it has not."""
        try:
            return self.exit_file.read_text(encoding="utf-8").strip()
        except (FileNotFoundError, UnicodeDecodeError):
            return ""

    @property
    def attempts(self) -> tuple[float, ...]:
        """Seconds of the attempts that ended; empty where nobody has measured them."""
        try:
            return tuple(map(float, (self.path / "seconds").read_text(encoding="utf-8").split()))
        except (FileNotFoundError, ValueError):
            return ()

    @property
    def seconds(self) -> float:
        """Of all attempts; NaN where nobody has measured them."""
        return math.fsum(self.attempts) if self.attempts else math.nan

    def took(self, attempts: Sequence[float]) -> None:
        """Write down seconds of attempts, finer than the script can."""
        write_text(self.path / "seconds", "".join(f"{one:.3f}\n" for one in attempts))

    @property
    def last_lines(self) -> str:
        """The end of the log, indented; a sentence where there is none."""
        try:
            with self.log.open(encoding="utf-8", errors="replace") as lines:
                last = deque((line.rstrip() for line in lines if line.strip()), _LAST_LINES)
        except FileNotFoundError:
            last = deque()
        if not last:
            return f"{self.log} is empty"
        text = "\n".join(f"    {line[:_LONGEST_LINE]}" for line in last)
        return f"{self.log} ends with\n{text}"


def trainings_in(root: Path) -> dict[str, Path]:
    """Key of a training -> the folder that has it."""
    found = ((path.parent, path.read_text(encoding="utf-8")) for path in sorted(root.glob(f"*/{_TRAINING}")))
    return {training: folder for folder, training in found if not folder.is_symlink()}


def script_of(
    template: CommandTemplate, values: dict[str, str], mixture: str, study: Path, remarks: Sequence[str]
) -> str:
    """The text of ``run.sh``.

    Args:
        template: of the command.
        values: of its fields, but for the mixture and the output, which lie in the folder of the script.
        mixture: name of the mixture's file there.
        study: the folder in which the command runs; the variable CUVEE_STUDY names another.
        remarks: written at the top.
    """
    fields = {name: shlex.quote(value) for name, value in values.items()}
    fields |= {MIXTURE: f'"$here"/{shlex.quote(mixture)}', OUTPUT: '"$here"/output'}
    return "\n".join(
        [
            "#!/bin/sh",
            *(f"# {' '.join(one.split())}" for one in remarks),
            'here=$(cd "$(dirname "$0")" && pwd) || exit 1',
            f"study={shlex.quote(str(study))}",
            "attempt() {",
            '    cd "${CUVEE_STUDY:-$study}" && mkdir -p "$here/output" || return 1',
            f"    {template.in_shell(fields)}",
            "}",
            'rm -f "$here/exit"',
            "begun=$(date +%s)",
            '(attempt) >>"$here/log.txt" 2>&1 </dev/null',
            "status=$?",
            'echo "$(($(date +%s) - begun))" >>"$here/seconds"',
            'echo "$status" >"$here/exit.part" && mv "$here/exit.part" "$here/exit"',
            'exit "$status"',
            "",
        ]
    )
