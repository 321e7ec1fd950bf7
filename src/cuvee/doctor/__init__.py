"""The doctor of tables of runs: every known fault, found before compute is spent.

diagnosis = diagnose([Path("runs.csv")], question=Question(maximum={"web": 0.5}))
for finding in diagnosis.findings:
    print(finding.severity, finding.where, finding.what, finding.remedy)
"""

from cuvee.doctor.check import Fault
from cuvee.doctor.diagnosis import diagnose, examine
from cuvee.doctor.finding import Diagnosis, Finding
from cuvee.doctor.registry import CHECKS
from cuvee.doctor.subject import Subject

__all__ = ["CHECKS", "Diagnosis", "Fault", "Finding", "Subject", "diagnose", "examine"]
