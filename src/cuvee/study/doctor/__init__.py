"""The doctor of tables of runs: every fault that is known, told before compute is spent.

diagnosis = diagnose([Path("runs.csv")], question=Question(maximum={"web": 0.5}))
for finding in diagnosis.findings:
    print(finding.severity, finding.where, finding.what, finding.remedy)
"""

from cuvee.study.doctor.check import Check
from cuvee.study.doctor.diagnosis import diagnose, examine
from cuvee.study.doctor.finding import Diagnosis, Finding
from cuvee.study.doctor.registry import CHECKS
from cuvee.study.doctor.subject import Subject

__all__ = ["CHECKS", "Check", "Diagnosis", "Finding", "Subject", "diagnose", "examine"]
