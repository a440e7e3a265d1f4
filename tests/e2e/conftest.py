"""Daemons that these tests start are waited for: their kernels are compiled before."""

import pytest

from support.kernels import warm_kernels


@pytest.fixture(scope="session", autouse=True)
def _kernels_are_compiled() -> None:
    warm_kernels()
