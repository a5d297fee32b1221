import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    f"i2codec.container.{path.stem}"
    for path in (ROOT / "i2codec" / "container").glob("*.py")
    if path.stem != "__init__"
)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_needs_only_the_standard_library(module):
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); before = set(sys.modules); import {module};"
        "names = {name.partition('.')[0] for name in set(sys.modules) - before};"
        "print(*sorted(names - {'i2codec'} - sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []


def test_every_module_is_covered():
    assert {"i2codec.container.reader", "i2codec.container.writer"} <= set(MODULES)
