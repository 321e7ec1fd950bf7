"""What ``cuvee trace`` prints: ids that can be searched for, and text that is no more than text."""

import pytest

from cuvee.cli.trace import printed
from cuvee.flows.value.tracing import TracedDocument, Tracing

ID = "a source with a long name/605eb55ba1f822b1/6672"


def test_each_document_has_its_id_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    one = TracedDocument(ID, "a source with a long name", 0.0271, "Begins\nhere \x1b[31m\u202e " + "x" * 300)
    printed(Tracing("a claim", False, (one,), (), ("no judge",)))
    lines = capsys.readouterr().out.splitlines()
    assert f"  0.0271  {ID}" in lines
    assert "Best by BM25, with its score: none" in lines
    assert lines[0] == "claim: a claim" and lines[-1] == "note: no judge"
    begins = next(line for line in lines if "Begins here" in line)
    assert "\x1b" not in begins and "\u202e" not in begins
    assert max(map(len, lines)) <= 100
