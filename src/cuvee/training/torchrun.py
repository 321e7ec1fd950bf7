"""torch's launcher (``torchrun``) in a process that ends with the one that asked for it.

python -m cuvee.training.torchrun FOLDER PROCESSES PARENT
"""

import os
import sys

from cuvee.execution.orphans import end_with


def main(folder: str, processes: str, parent: str) -> None:
    """Start the processes of a training and wait for them; leaves with 1 if one fails."""
    end_with(int(parent))
    from torch.distributed.run import main as run

    options = ["--standalone", f"--nproc-per-node={processes}", "--module"]
    run([*options, "cuvee.training.rank", folder, str(os.getpid())])


if __name__ == "__main__":
    main(*sys.argv[1:])
