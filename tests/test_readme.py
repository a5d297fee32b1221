"""What the README shows is true."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import trimesh
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image

from i2codec.cli.main import main

_ROOT = Path(__file__).parents[1]
_README = (_ROOT / "README.md").read_text()


def _block(language: str, *, after: str = "") -> str:
    found = re.search(rf"```{language}\n(.*?)```", _README[_README.index(after) :], re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crop: NDArray[np.uint8]) -> Path:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(crop).save("photo.png")
    tone = np.sin(np.arange(4000) / 5.0)
    soundfile.write("sound.wav", 0.5 * tone, 8000, subtype="PCM_16")
    with av.open("video.mp4", "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for shift in range(4):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.roll(crop, shift, axis=1)), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    trimesh.creation.icosphere(subdivisions=2).export("shape.obj")
    return tmp_path


def test_the_command_lines_run(folder: Path) -> None:
    # what a command does stands behind it, after two spaces or more
    commands = [re.split(r"  +", line)[0].split() for line in _block("text", after="## Use it").splitlines()]
    assert len(commands) == 18
    for words in commands:
        assert words[0] == "i2codec"
        arguments = words[1:]
        if arguments[0] == "encode":  # the same options, in little time
            arguments += ["--steps", "30", "--force", "--quiet"]
            is_grid = arguments[1] in ("photo.png", "sound.wav") and "coordinate" not in arguments
            arguments += [] if is_grid else ["--width", "16"]
        smaller = {"100,50,64,64": "0,0,32,32", "256": "32"}
        arguments = [smaller.get(word, word) for word in arguments]
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, (words, result.output)


def test_the_python_example_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert CliRunner().invoke(main, ["encode", "photo.png", "--steps", "30", "--quiet"]).exit_code == 0
    names: dict[str, np.ndarray] = {}
    exec(_block("python").replace('preset="fast"', 'preset="draft", steps=30'), names)
    assert names["values"].shape == (1, 3)
    assert names["slopes"].shape == (1, 3, 2)


def test_ci_runs_the_test_command() -> None:
    command = _block("sh", after="<!-- test command -->").strip()
    assert "pytest" in command
    script = (_ROOT / ".ci" / "run").read_text()
    extract = next(line for line in script.splitlines() if line.startswith("command="))
    shown = subprocess.run(
        ["bash", "-c", f'{extract}\nprintf %s "$command"'], cwd=_ROOT, capture_output=True, text=True, check=True
    )
    assert shown.stdout == command


def test_both_commands_pin_torch() -> None:
    constraint = (_ROOT / "constraints.txt").read_text()
    assert re.search(r"^torch==2\.\d+\.\d+$", constraint, re.MULTILINE)
    for marker in ("<!-- demo command -->", "<!-- test command -->"):
        assert "-c constraints.txt" in _block("sh", after=marker)
