"""A trainer for tests: reads the mixture, computes losses in closed form, writes them. Needs no cuvee.

A file in the output folder makes it behave badly once: ``fail`` (exit status 3), ``nan``, ``nothing`` (no
metrics), ``wait`` (with a child, for ever).
"""

import argparse
import json
import math
import subprocess
import sys
from pathlib import Path


def losses(shares: dict[str, float], tokens: int) -> dict[str, float]:
    """More of a source helps its own text, and half as much that of all others."""
    names = ("ka", "lo", "mi", "nu")
    return {
        f"loss_{name}": 1.5
        + place / 10
        + 2.0
        * ((0.05 + shares.get(name, 0.0) + 0.1 * shares.get(names[place - 1], 0.0)) * tokens / 100) ** -0.3
        for place, name in enumerate(names)
    }


def main() -> None:
    """One run."""
    parser = argparse.ArgumentParser()
    for name in ("mixture", "output", "tokens", "seed"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--prefix", default="loss_")
    asked = parser.parse_args()
    output = Path(asked.output)
    with (output / "attempts").open("a") as attempts:
        attempts.write("x")
    bad = next(
        (output / name for name in ("fail", "nan", "nothing", "wait") if (output / name).exists()), None
    )
    found = losses(json.loads(Path(asked.mixture).read_text(encoding="utf-8")), int(asked.tokens))
    sys.stdout.write(f"trained with seed {asked.seed}\n")
    if bad is not None:
        bad.unlink()
        if bad.name == "wait":
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
            (output / "child").write_text(str(child.pid))
            child.wait()
        if bad.name == "fail":
            sys.stderr.write("out of luck\n")
            sys.exit(3)
        if bad.name == "nothing":
            return
        found["loss_ka"] = math.nan
    found = {f"{asked.prefix}{name.removeprefix('loss_')}": value for name, value in found.items()}
    (output / "metrics.json").write_text(json.dumps({**found, "seconds": 3.5}))


if __name__ == "__main__":
    main()
