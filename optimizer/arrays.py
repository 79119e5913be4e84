"""Which kinds of arrays are there? Shapes stand where they are used: N needs, R rows, K blocks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Indexes = npt.NDArray[np.intp]
Phasors = npt.NDArray[np.complex128]
