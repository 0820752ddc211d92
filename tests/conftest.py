"""What several test files need."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import Browser, opened_browser

#: A package that some tests install; see test_packages.py.
collect_ignore = ["example_package"]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(440)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Where real recordings may be: $MCLS_DATA, or ../shared/data beside the checkout."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    return Path(os.environ.get("MCLS_DATA", beside))


@pytest.fixture(scope="session")
def real_data(data_folder: Path) -> Path:
    """The folder of real recordings; the test is skipped where there are none."""
    if not (data_folder / "esc10").is_dir():
        pytest.skip(f"no real recordings at {data_folder}; set MCLS_DATA")
    return data_folder


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A headless Chromium; the test is skipped where there is none."""
    with opened_browser(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened
