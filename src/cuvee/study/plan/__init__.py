"""What a study is going to make: its text ready, its mixtures, its trainings and the jobs that they are.

``Plan`` and ``Planned`` load torch and stand in their own files, so that asking for a status does not.
"""

from cuvee.study.plan.agenda import Agenda, Intended
from cuvee.study.plan.mixtures import ReferenceMixture

__all__ = ["Agenda", "Intended", "ReferenceMixture"]
