"""For all tests: compiled kernels are kept in one place, where the processes that tests start find them too."""

import os

from support.kernels import NUMBA_CACHE

os.environ["NUMBA_CACHE_DIR"] = str(NUMBA_CACHE)
