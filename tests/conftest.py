"""What several test files need."""

import os
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(440)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real recordings: $MCLS_DATA, or ../shared/data beside the checkout."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("MCLS_DATA", beside))
    if not (folder / "esc10").is_dir():
        pytest.skip(f"no real recordings at {folder}; set MCLS_DATA")
    return folder
