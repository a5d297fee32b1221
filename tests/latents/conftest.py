from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def format_page():
    """The text of docs/format.md."""
    return (Path(__file__).parents[2] / "docs" / "format.md").read_text(encoding="utf-8")
