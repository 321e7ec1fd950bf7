"""What a study starts from, in words for its reports."""

from cuvee.quantities import size
from cuvee.study.plan.plan import Plan


def seed_in_words(plan: Plan) -> str:
    """The seed model, and what branches are of it where they are no whole models."""
    settings = plan.config.model
    parameters = f"{size(plan.parameters)} parameters"
    if settings.folder is None:
        return f"new model of {parameters}"
    return f"folder {settings.folder.name}, {parameters}{_adapted(plan)}"


def _adapted(plan: Plan) -> str:
    adapters = plan.config.model.adapters
    if adapters is None:
        return ""
    modules = ", ".join(adapters.target_modules) or "all matrices of the layers"
    which = "branches and references" if adapters.references else "branches"
    return f"; {which} are adapters of rank {adapters.rank} on {modules}"
