"""Rate and distortion of sounds: i2codec beside Opus, Vorbis, MP3, AAC and FLAC.

    python benchmarks/audio_rd.py --sounds FOLDER --peers-only
    python benchmarks/audio_rd.py --sounds FOLDER --preset fast

Every WAV file of the folder is encoded into a file and decoded at its own rate; the rate is that of
the file on disk. Peers are moved and scaled to fit best, and count with the best of their settings:
of Opus both applications, with constant and variable rate. i2codec is run for signal-to-noise ratios
(``--tune mse``) and for bit rates (``--tune ear``).

Each row is added to a file of JSON lines as soon as it is measured, and rows found there are not
measured again. All rows make the result beside it: rates at equal signal-to-noise ratio, log-mel distance and PESQ
at equal rate, BD-rates, and a chart.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import audio_metrics
import bjontegaard
import click
import matplotlib
import numpy as np
import soundfile
import torch
from audio_peers import PEERS, Codec, Samples, Setting, Sound
from common import HERE, device_name, report
from matplotlib.figure import Figure

import i2codec

Row = dict[str, Any]

_SNRS_DB = (15, 20, 25, 30, 40)
_KBPS = (12, 16, 24, 32, 40)
_COMPARED_DB = (20.0, 25.0, 30.0)
_SPEECH = "speech"  # what a name of speech holds


class Ours:
    """i2codec: a preset and what it is tuned for."""

    suffix = ".i2"

    def __init__(self, preset: str, tune: str) -> None:
        self.name, self._preset, self._tune = f"i2codec-{preset}-{tune}", preset, tune

    @property
    def versions(self) -> str:
        return f"i2codec {i2codec.__version__}, torch {torch.__version__}, {torch.get_num_threads()} thread(s)"

    def settings(self) -> list[Setting]:
        if self._tune == "ear":
            return [{"target_bitrate": 1000 * rate} for rate in _KBPS]
        return [{"target_snr": wanted} for wanted in _SNRS_DB]

    def encode(self, sound: Sound, path: Path, setting: Setting) -> None:
        wav = path.with_suffix(".wav")
        soundfile.write(wav, sound.samples, sound.rate_hz, subtype="FLOAT")
        i2codec.encode_file(wav, path, preset=self._preset, tune=self._tune, device="cpu", seed=0, **setting)

    def decode(self, path: Path, sound: Sound) -> Samples:
        return i2codec.decode(path, device="cpu").samples


def measure(sound: Sound, codec: Codec, setting: Setting) -> Row:
    """Encode into a file, decode it, and compare."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"sound{codec.suffix}"
        begin = time.perf_counter()
        codec.encode(sound, path, setting)
        encoded = time.perf_counter()
        decoded = codec.decode(path, sound)
        end, size_bytes = time.perf_counter(), path.stat().st_size
    is_speech = _SPEECH in sound.name
    return {
        "sound": sound.name,
        "codec": codec.name,
        "setting": dict(setting),
        "size_bytes": size_bytes,
        "kbps": round(8e-3 * size_bytes / sound.duration_s, 3),
        "snr_db": round(min(audio_metrics.snr_db(sound.samples, decoded), 150.0), 3),
        "log_mel": round(audio_metrics.log_mel_distance(sound.samples, decoded, sound.rate_hz), 5),
        "pesq": round(audio_metrics.pesq_score(sound.samples, decoded, sound.rate_hz), 3) if is_speech else None,
        "encode_s": round(encoded - begin, 3),
        "decode_s": round(end - encoded, 3),
        "duration_s": round(sound.duration_s, 3),
        "device": device_name("cpu"),
        "versions": codec.versions,
    }


def curve(rows: Iterable[Row], value: str, *, is_rising: bool) -> tuple[list[float], list[float]]:
    """Rates and values of the rows that no row of a lower rate is better than."""
    rates: list[float] = []
    values: list[float] = []
    for row in sorted(rows, key=lambda row: row["kbps"]):
        if not values or (row[value] > values[-1] if is_rising else row[value] < values[-1]):
            rates.append(row["kbps"])
            values.append(row[value])
    return rates, values


def rate_at(rows: Sequence[Row], snr_db: float) -> float | None:
    """kbit/s for a signal-to-noise ratio, between measured ones along the logarithm of the rate."""
    rates, values = curve(rows, "snr_db", is_rising=True)
    if not values or not values[0] <= snr_db <= values[-1]:
        return None
    return round(float(np.exp(np.interp(snr_db, values, np.log(rates)))), 2)


def value_at(rows: Sequence[Row], kbps: float, value: str, *, is_rising: bool) -> float | None:
    """The best at a rate, between measured ones along the logarithm of the rate."""
    rates, values = curve(rows, value, is_rising=is_rising)
    if not rates or not rates[0] <= kbps <= rates[-1]:
        return None
    return round(float(np.interp(np.log(kbps), np.log(rates), values)), 4)


def summarise(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rates at equal ratio, what is heard at equal rate, and BD-rates against Opus."""
    equal_snr: list[Row] = []
    equal_rate: list[Row] = []
    bd_rates: list[Row] = []
    for sound in sorted({row["sound"] for row in rows}):
        by_codec: dict[str, list[Row]] = {}
        for row in rows:
            if row["sound"] == sound:
                by_codec.setdefault(row["codec"], []).append(row)
        for snr_db in _COMPARED_DB:
            found = {name: rate_at(each, snr_db) for name, each in by_codec.items()}
            equal_snr.append({"sound": sound, "snr_db": snr_db, "kbps": found})
        for kbps in _KBPS[1:-1]:
            for value, is_rising in (("log_mel", False), ("pesq", True)):
                scored = {name: each for name, each in by_codec.items() if each[0][value] is not None}
                if scored:
                    found = {name: value_at(each, kbps, value, is_rising=is_rising) for name, each in scored.items()}
                    equal_rate.append({"sound": sound, "kbps": kbps, value: found})
        for name, each in by_codec.items():
            percent = bd_rate(by_codec.get("opus", []), each)
            if name != "opus" and percent is not None:
                bd_rates.append({"sound": sound, "codec": name, "against": "opus", "percent": percent})
    return {"equal_snr": equal_snr, "equal_rate": equal_rate, "bd_rate": bd_rates}


def bd_rate(anchor: Sequence[Row], other: Sequence[Row]) -> float | None:
    """How much more rate ``other`` takes than ``anchor`` over the ratios that both have, in percent."""
    (rates, values), (others, found) = (curve(rows, "snr_db", is_rising=True) for rows in (anchor, other))
    if min(len(rates), len(others)) < 2 or max(values[0], found[0]) >= min(values[-1], found[-1]):
        return None
    options = {"method": "pchip", "require_matching_points": False, "min_overlap": 0}
    return round(float(bjontegaard.bd_rate(rates, values, others, found, **options)), 1)


def draw(rows: Sequence[Row], destination: Path) -> None:
    """Signal-to-noise ratio and log-mel distance by rate, a row of panels for each sound."""
    sounds = sorted({row["sound"] for row in rows})
    with matplotlib.rc_context({"font.size": 9}):
        figure = Figure(figsize=(12, 4.6 * len(sounds)), layout="constrained", dpi=110)
        for line, sound in zip(figure.subplots(len(sounds), 2, squeeze=False), sounds, strict=True):
            for axes, (value, is_rising) in zip(line, (("snr_db", True), ("log_mel", False)), strict=True):
                for name in dict.fromkeys(
                    row["codec"] for row in rows if row["sound"] == sound and row["codec"] != "flac"
                ):
                    each = [row for row in rows if row["sound"] == sound and row["codec"] == name]
                    is_ours = name.startswith("i2codec")
                    axes.plot(
                        *curve(each, value, is_rising=is_rising), "o-", label=name, linewidth=2.2 if is_ours else 1.2
                    )
                axes.set(xscale="log", xlabel="kbit/s", ylabel=value, title=sound, xlim=(4, 300))
                axes.grid(alpha=0.3)
                axes.legend(fontsize=8)
        figure.savefig(destination)


@click.command(help=__doc__)
@click.option(
    "--sounds", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True, metavar="FOLDER"
)
@click.option("--preset", "presets", multiple=True, default=("fast",), show_default=True)
@click.option("--tune", "tunes", multiple=True, default=("mse", "ear"), show_default=True)
@click.option("--peers-only", is_flag=True, help="Without i2codec.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Of i2codec.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default=HERE / "results" / "audio_rd.json")
def main(sounds: Path, presets: Sequence[str], tunes: Sequence[str], peers_only: bool, threads: int, out: Path) -> None:
    torch.set_num_threads(threads)
    lines = out.with_suffix(".jsonl")
    text = lines.read_text() if lines.exists() else ""
    whole = text[: text.rfind("\n") + 1]  # a row that an interruption cut is measured again
    if whole != text:
        os.truncate(lines, len(whole.encode()))
    rows: list[Row] = [json.loads(line) for line in whole.splitlines()]
    measured = {(row["sound"], row["codec"], json.dumps(row["setting"])) for row in rows}
    codecs: list[Codec] = [*PEERS, *([] if peers_only else [Ours(p, tune) for p in presets for tune in tunes])]
    for path in sorted(sounds.glob("*.wav")):
        samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
        sound = Sound(path.stem, samples, rate_hz)
        for codec in codecs:
            for setting in codec.settings():
                if (sound.name, codec.name, json.dumps(dict(setting))) in measured:
                    continue
                row = measure(sound, codec, setting)
                rows.append(row)
                with lines.open("a") as stream:
                    stream.write(json.dumps(row, allow_nan=False) + "\n")
                shown = ("kbps", "snr_db", "log_mel", "pesq", "encode_s", "decode_s")
                report(sound=sound.name, codec=codec.name, setting=setting, **{key: row[key] for key in shown})
    result = summarise(rows)
    out.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n")
    draw(rows, out.with_suffix(".png"))
    for each in (*result["equal_snr"], *result["equal_rate"], *result["bd_rate"]):
        click.echo(json.dumps(each))


if __name__ == "__main__":
    main()
