"""Wording: how somebody says what a target is made of, so that a message names what they can write."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Wording:
    """The words for directions and targets, of options or of keys of a study file."""

    lower: str
    """Of a metric that is better lower; ``{}`` stands for its name, as in the other."""
    higher: str
    many: str
    """The same of several metrics."""
    target: str

    def direction(self, metric: str) -> str:
        """What to say of a metric whose direction is not known."""
        return (
            f"say {self.lower.format(repr(metric))} or {self.higher.format(repr(metric))} ({self.many}), or "
            f"choose metrics with {self.target}"
        )

    @property
    def others(self) -> str:
        """How to choose others than the default ones."""
        return f"Name metrics with {self.target} to choose others."


OPTIONS = Wording("--lower {}", "--higher {}", "or --lower all, --higher 'quiz*'", "--target")
TRAINER_KEYS = Wording(
    "`trainer.lower: [{}]`", "`trainer.higher: [{}]`", "or patterns, such as 'quiz*'", "`trainer.target`"
)
