from __future__ import annotations

import io

import pytest

from i2codec.cli.progress_bar import ProgressBar
from i2codec.fit.progress import Progress


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


_REPORT = Progress("fit", fraction=0.5, step=3, psnr_db=31.25, size_bytes=12345, remaining_s=42.4)


def _shown(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, *, quiet: bool) -> str:
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with ProgressBar(quiet=quiet) as bar:
        bar(Progress("quantise", 0.0))
        bar(_REPORT)
    return stream.getvalue()


def test_a_terminal_sees_stage_psnr_size_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = _shown(monkeypatch, _Terminal(), quiet=False)
    for part in ("fit", "31.25 dB", "12,345 bytes", "42 s left"):
        assert part in shown


@pytest.mark.parametrize(("stream", "quiet"), [(_Terminal(), True), (io.StringIO(), False)])
def test_quiet_or_piped_it_says_nothing(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, quiet: bool) -> None:
    assert _shown(monkeypatch, stream, quiet=quiet) == ""
