"""What turns or hides text is spelt out, on the terminal and in files."""

import io
import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cuvee.cli.app import app
from cuvee.cli.progress_display import PlainProgress
from cuvee.cli.streams import Spelling, spelling
from cuvee.invisible import all_spelt_out, spelt_out

HOSTILE = "a\u202eb\u2066c\u200fd\x9b31me\U000e0041f\udcffg"
SPELT = "a\\u202eb\\u2066c\\u200fd\\u009b31me\\udb40\\udc41f\\udcffg"


def test_what_turns_or_hides_is_spelt_out() -> None:
    assert spelt_out(HOSTILE) == SPELT
    assert spelt_out("naïve café, 数据, नमस्ते, \x1b[1mbold\x1b[0m\tend\n") == (
        "naïve café, 数据, नमस्ते, \x1b[1mbold\x1b[0m\tend\n"
    )
    assert all_spelt_out("\x1b[31m\x07\tred\r\n") == "\\u001b[31m\\u0007\tred\r\n"


def test_json_stays_the_same_value() -> None:
    text = json.dumps({"name": HOSTILE}, ensure_ascii=False)
    assert json.loads(spelt_out(text)) == {"name": HOSTILE}


def test_commands_print_by_a_stream_that_spells(capsys: pytest.CaptureFixture[str]) -> None:
    with spelling():
        sys.stdout.write(HOSTILE + "\n")
    assert capsys.readouterr().out == SPELT + "\n"
    stream = io.StringIO()
    spelt = Spelling(stream)
    spelt.writelines([HOSTILE, "\n"])
    assert not spelt.isatty() and stream.getvalue() == SPELT + "\n"


def test_errors_and_progress_spell_out_escapes_too(tmp_path: Path) -> None:
    name = "x\u202e\x1b[31m"
    result = CliRunner().invoke(app, ["status", str(tmp_path / name)])
    assert result.exit_code == 2 and "x\\u202e\\u001b[31m" in result.stderr
    assert not set("\u202e\x1b") & set(result.stderr)
    stream = io.StringIO()
    with PlainProgress(stream) as progress:
        progress.message("document \x1b[2J of web")
    assert stream.getvalue() == "document \\u001b[2J of web\n"
