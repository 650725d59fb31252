"""A real browser for the tests of a module."""

import pytest
from browser import chromium


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser
