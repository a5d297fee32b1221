"""What only a process of its own shows: imports, signals, streams."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

_COMMAND = [sys.executable, "-m", "i2codec"]


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom i2codec.cli.main import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "assert not {'torch', 'av', 'numpy', 'rich', 'PIL'} & sys.modules.keys(), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("arguments", [["decode", "p.i2", "-o", "p.png"], ["info", "p.i2"]])
def test_decoding_on_a_cpu_loads_neither_torch_nor_the_encoder(arguments: list[str], tmp_path: Path) -> None:
    golden = Path(__file__).parents[1] / "golden" / "photo_v1.i2"
    (tmp_path / "p.i2").write_bytes(golden.read_bytes())
    if arguments[0] == "decode":
        arguments = [*arguments, "--device", "cpu"]
    code = (
        "import sys\nfrom i2codec.cli.main import main\n"
        f"main({arguments!r}, standalone_mode=False)\n"
        "loaded = {'torch', 'av', 'i2codec.fit.loop', 'i2codec.fit.encoder'} & sys.modules.keys()\n"
        "assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, capture_output=True)


def test_an_interrupt_leaves_nothing_and_says_so(tmp_path: Path, photo_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint"
    options = ["-o", str(tmp_path / "p.i2"), "--preset", "slow", "--checkpoint", str(checkpoint)]
    process = subprocess.Popen(
        [*_COMMAND, "encode", str(photo_path), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        # a shell starts what it puts in the background with interrupts ignored, and children inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 120.0
    while not checkpoint.exists() and time.monotonic() < deadline:  # imports are over and the fit is under way
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    try:
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    # CPython ends `python -m` by the signal itself where the interrupt met an import; shells call both 130
    assert process.returncode in (130, -signal.SIGINT)
    assert output == b""
    assert errors.decode().strip() == "i2codec: interrupted; nothing was written"
    assert list(tmp_path.iterdir()) == [checkpoint]
