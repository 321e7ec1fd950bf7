"""Processes that end when the one that started them ends, for whatever reason.

On Linux the kernel kills them, even inside a long call into C. Everywhere, a thread looks after the parent.
"""

import ctypes
import os
import signal
import sys
import threading
import time

_LOOK_SECONDS = 1.0
_PR_SET_PDEATHSIG = 1


def end_with(parent: int) -> None:
    """End this process, without a word, when its parent is gone.

    Args:
        parent: its process id, as the parent itself gave it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_look, args=(parent,), name="cuvee-watch-parent", daemon=True).start()


def _look(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    os._exit(1)
