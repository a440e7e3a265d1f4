"""For all tests: compiled kernels in one place, where the processes that tests start find them too; the same cases in every run; Ctrl-C works.

`pytest --hypothesis-profile=default --hypothesis-seed=random` looks for new cases.
"""

import os
import signal

from hypothesis import HealthCheck, settings

from support.kernels import NUMBA_CACHE

os.environ["NUMBA_CACHE_DIR"] = str(NUMBA_CACHE)
# How long a case takes is the machine's affair: a slow one is no failure. New cases are looked for on purpose, not in CI.
settings.register_profile(
    "evapd",
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("evapd")
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # Started in a shell's background: what is ignored here would be ignored by every process that tests interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
