"""Names for the arrays that cross package borders.

Shapes stand in docstrings with these letters, the same everywhere:
``S`` sources, ``K`` pool members (units), ``M`` mixtures or merges, ``R`` observed runs,
``E`` evaluations, ``N`` parameters of one model, ``W`` evaluation windows, ``T`` context length.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
Int32Array = npt.NDArray[np.int32]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
AnyArray = npt.NDArray[Any]

Json = dict[str, Any]
