"""What a page is called: by its study, or by the folder of a study that has no name."""

UNNAMED = "study"
"""What the study file calls a study to which nobody gives a name."""


def title_of(study: str, folder: str) -> str:
    """The name in the study file, else that of the folder, as far as it is known."""
    return folder if study == UNNAMED and folder else study
