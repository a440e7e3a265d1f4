"""For all tests: compiled kernels are kept in one place, where the processes that tests start find them too; and Ctrl-C works."""

import os
import signal

from support.kernels import NUMBA_CACHE

os.environ["NUMBA_CACHE_DIR"] = str(NUMBA_CACHE)
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # Started in a shell's background: what is ignored here would be ignored by every process that tests interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
