"""The public functions, end to end on a real photo."""

from __future__ import annotations

import io
import warnings
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import i2codec
from i2codec.options import EncodeKeywords, EncodeOptions, options_from
from i2codec.signal.metrics import distortion, psnr_db
from i2codec.signal.signal import Signal

_QUICK: EncodeKeywords = {"preset": "draft", "steps": 120, "device": "cpu"}


@pytest.fixture(scope="module")
def encoded(crop: NDArray[np.uint8]) -> bytes:
    return i2codec.encode(crop, width=24, **_QUICK)


def _psnr_db(original: NDArray[np.uint8], decoded: Signal) -> float:
    target = (original / np.float32(255)).astype(np.float32)
    return psnr_db(distortion(target=target, decoded=decoded.samples, description=decoded.description))


def test_a_photo_survives(crop: NDArray[np.uint8], encoded: bytes) -> None:
    decoded = i2codec.decode(encoded)
    assert decoded.samples.shape == crop.shape
    assert decoded.kind.name == "PHOTO"
    assert [axis.extent for axis in decoded.axes] == [64, 96]
    assert _psnr_db(crop, decoded) > 19.0
    assert len(encoded) < 1000
    picture = decoded.to_source()
    assert picture.dtype == np.uint8


def test_the_same_seed_gives_the_same_bytes(crop: NDArray[np.uint8], encoded: bytes) -> None:
    assert i2codec.encode(crop, width=24, **_QUICK) == encoded
    assert i2codec.encode(crop, width=24, seed=1, **_QUICK) != encoded


def test_scale_size_and_region(encoded: bytes) -> None:
    double = i2codec.decode(encoded, scale=2)
    assert double.samples.shape == (128, 192, 3)
    part = i2codec.decode(encoded, scale=2, region=(10, 5, 20, 30))
    np.testing.assert_array_equal(part.samples, double.samples[10:70, 20:60])
    assert i2codec.decode(encoded, size=(50, 70)).samples.shape == (70, 50, 3)
    assert i2codec.decode(encoded, scale=0.5).samples.shape == (32, 48, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scale": 2.0, "size": (3, 3)}, "at most one"),
        ({"scale": 0.0}, "above 0"),
        ({"scale": float("nan")}, "above 0"),
        ({"size": (0, 5)}, "at least 1x1"),
        ({"region": (0, 0, 97, 1)}, "does not lie inside the photo of 96x64"),
        ({"region": (-1, 0, 5, 5)}, "does not lie inside"),
        ({"region": (0, 0, 0, 5)}, "does not lie inside"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
    ],
)
def test_wrong_decoding_options(encoded: bytes, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(i2codec.OptionError, match=message):
        i2codec.decode(encoded, **arguments)


def test_a_scale_that_needs_too_much_is_refused_before_memory_is_taken(encoded: bytes) -> None:
    with pytest.raises(i2codec.LimitError, match="the limit is"):
        i2codec.decode(encoded, scale=1e5)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (9, 1), (3, 5)])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_tiny_pictures(shape: tuple[int, int], channels: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*shape, channels), dtype=np.uint8)
    decoded = i2codec.decode(i2codec.encode(picture, preset="draft", steps=40, width=8))
    assert decoded.to_source().shape == picture.shape
    assert np.isfinite(decoded.samples).all()
    assert i2codec.decode(i2codec.encode(picture, preset="draft", steps=40)).samples.shape == picture.shape


def test_a_one_pixel_photo_keeps_its_colour() -> None:
    picture = np.array([[[200, 30, 90]]], dtype=np.uint8)
    decoded = i2codec.decode(i2codec.encode(picture, preset="draft", steps=100, width=4)).to_source()
    assert np.abs(decoded.astype(int) - picture).max() <= 12


def test_transparency_is_compared_premultiplied(crop: NDArray[np.uint8]) -> None:
    alpha = np.zeros((*crop.shape[:2], 1), dtype=np.uint8)
    alpha[16:48, 24:72] = 255
    picture = np.concatenate([crop, alpha], axis=-1)
    data = i2codec.encode(picture, width=24, **_QUICK)
    decoded = i2codec.decode(data)
    assert _psnr_db(picture, decoded) > 13.0
    opaque = decoded.samples[24:40, 36:60, 3]
    clear = decoded.samples[:8, :12, 3]
    assert opaque.mean() > 0.85
    assert clear.mean() < 0.15


def test_floats_keep_their_range() -> None:
    ramp = np.linspace(-40.0, 1000.0, 32 * 24, dtype=np.float32).reshape(32, 24)
    decoded = i2codec.decode(i2codec.encode(ramp, preset="draft", steps=200, width=12)).to_source()
    assert decoded.dtype == np.float32
    assert np.abs(decoded[..., 0] - ramp).mean() < 40.0


def test_sixteen_bits_keep_their_format() -> None:
    ramp = np.linspace(0, 65535, 32 * 24).astype(np.uint16).reshape(32, 24)
    decoded = i2codec.decode(i2codec.encode(ramp, preset="draft", steps=200, width=12)).to_source()
    assert decoded.dtype == np.uint16
    assert np.abs(decoded[..., 0].astype(int) - ramp).mean() < 2600


def test_files_bytes_and_paths_are_one(tmp_path: Path, crop: NDArray[np.uint8], encoded: bytes) -> None:
    source, packed, unpacked = tmp_path / "p.png", tmp_path / "p.i2", tmp_path / "q.png"
    Image.fromarray(crop).save(source)
    i2codec.encode_file(source, packed, width=24, **_QUICK)
    assert packed.read_bytes() == i2codec.encode(str(source), width=24, **_QUICK)
    assert packed.read_bytes() == i2codec.encode(source.read_bytes(), width=24, **_QUICK)
    i2codec.decode_file(packed, unpacked, scale=1.5)
    with Image.open(unpacked) as picture:
        assert picture.size == (144, 96)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.i2", "p.png", "q.png"]


def test_metadata_is_kept_or_stripped(tmp_path: Path, crop: NDArray[np.uint8]) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a cup of coffee"
    exif[0x0112] = 6  # rotated by 90 degrees
    stream = io.BytesIO()
    Image.fromarray(crop).save(stream, "png", exif=exif)
    kept = i2codec.decode(i2codec.encode(stream.getvalue(), width=8, **_QUICK))
    assert kept.samples.shape == (96, 64, 3)
    stripped = i2codec.decode(i2codec.encode(stream.getvalue(), width=8, metadata="strip", **_QUICK))
    assert stripped.samples.shape == (96, 64, 3)
    assert not stripped.metadata
    i2codec.decode_file(i2codec.encode(stream.getvalue(), width=8, **_QUICK), tmp_path / "upright.png")
    with Image.open(tmp_path / "upright.png") as picture:
        restored = picture.getexif()
        assert restored[0x010E] == "a cup of coffee"
        assert restored.get(0x0112, 1) == 1


def test_an_existing_destination_is_found_before_the_source_is_read(tmp_path: Path) -> None:
    destination = tmp_path / "x.i2"
    destination.write_bytes(b"old")
    with pytest.raises(i2codec.OutputError, match="already exists"):
        i2codec.encode_file(tmp_path / "missing.png", destination)
    assert destination.read_bytes() == b"old"


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(i2codec.InputError):
        i2codec.encode_file(b"no photo", tmp_path / "x.i2")
    assert list(tmp_path.iterdir()) == []


def test_cancelling_leaves_nothing(tmp_path: Path, crop: NDArray[np.uint8]) -> None:
    source = tmp_path / "p.png"
    Image.fromarray(crop).save(source)
    with pytest.raises(i2codec.Cancelled):
        i2codec.encode_file(source, tmp_path / "x.i2", progress=lambda progress: False, **_QUICK)
    assert [path.name for path in tmp_path.iterdir()] == ["p.png"]


def test_a_missed_target_is_said(crop: NDArray[np.uint8]) -> None:
    with pytest.warns(i2codec.TargetMissedWarning, match=r"target of 40 bytes was not met within 5 %: the file has"):
        i2codec.encode(crop, target_size=40, **_QUICK)
    with pytest.warns(i2codec.TargetMissedWarning, match=r"target of 60 dB was not met"):
        i2codec.encode(crop, target_psnr=60.0, width=8, **_QUICK)


def test_targets_that_are_met_are_silent(crop: NDArray[np.uint8]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        by_size = i2codec.encode(crop, target_size=900, **_QUICK)
        by_rate = i2codec.encode(crop, target_bpp=1.2, **_QUICK)
    assert 855 <= len(by_size) <= 900
    assert 8 * len(by_rate) / (64 * 96) == pytest.approx(1.2, rel=0.05)


def test_a_checkpoint_of_the_whole_encoding_gives_the_same_bytes(
    tmp_path: Path, crop: NDArray[np.uint8], encoded: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    from i2codec.fit.checkpoint import Checkpoint
    from i2codec.fit.progress import Reporter

    path = tmp_path / "fit.checkpoint"
    monkeypatch.setattr(Checkpoint, "due", True)
    monkeypatch.setattr(Reporter, "due", True)
    for stage, stop_after in (("fit", 3), ("fit", 60), ("tune", 5)):

        def go_on(progress: i2codec.Progress, stage: str = stage, stop_after: int = stop_after) -> bool:
            return progress.stage != stage or progress.step < stop_after

        with pytest.raises(i2codec.Cancelled):
            i2codec.encode(crop, width=24, checkpoint=path, progress=go_on, **_QUICK)
        assert path.exists()
    assert i2codec.encode(crop, width=24, checkpoint=path, **_QUICK) == encoded
    assert not path.exists()


def test_the_checkpoint_of_another_photo_is_refused(tmp_path: Path, crop: NDArray[np.uint8]) -> None:
    path = tmp_path / "fit.checkpoint"
    with pytest.raises(i2codec.Cancelled):
        i2codec.encode(crop, checkpoint=path, progress=lambda progress: progress.stage != "quantise", **_QUICK)
    with pytest.raises(i2codec.InputError, match="belongs to another source"):
        i2codec.encode(crop[::-1].copy(), checkpoint=path, **_QUICK)


def test_a_file_whose_decode_differs_from_the_fit_is_not_written(
    tmp_path: Path, crop: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    from i2codec.field.stored import StoredNetwork

    read_out = StoredNetwork.read_out
    monkeypatch.setattr(StoredNetwork, "read_out", lambda self, z: read_out(self, z) + np.float32(0.05))
    with pytest.raises(i2codec.FitError, match=r"decodes to .* the fit had"):
        i2codec.encode_file(_png(crop), tmp_path / "x.i2", width=24, **_QUICK)
    assert list(tmp_path.iterdir()) == []


def _png(picture: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "png")
    return stream.getvalue()


def test_a_time_limit_runs_through_all_phases(crop: NDArray[np.uint8]) -> None:
    stages: list[str] = []
    data = i2codec.encode(
        crop, width=16, preset="slow", time_limit=2.0, progress=lambda progress: stages.append(progress.stage)
    )
    assert _psnr_db(crop, i2codec.decode(data)) > 9.0  # even a single step starts from the mean colour
    assert list(dict.fromkeys(stages)) == ["fit", "quantise", "tune", "pack"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "best"}, "unknown preset 'best'"),
        ({"field": "pyramid"}, "unknown field"),
        ({"field": "grid", "width": 4}, "width is of the coordinate field"),
        ({"filter": "relu"}, "unknown filter"),
        ({"metadata": "some"}, "unknown metadata"),
        ({"quality": 101}, "expected 0 to 100"),
        ({"lmbda": -1.0}, "above 0"),
        ({"lmbda": 0.1, "quality": 3}, "lmbda and quality were given; expected at most one"),
        ({"target_bpp": 0.0}, "above 0"),
        ({"target_size": 0}, "at least 1"),
        ({"target_psnr": -3.0}, "more than 0"),
        ({"width": 0}, "expected 1 to"),
        ({"steps": 0}, "at least 1"),
        ({"time_limit": 0.0}, "above 0"),
        ({"seed": -1}, "0 or more"),
        ({"device": "tpu"}, "unknown device"),
        ({"wdith": 3}, "unknown option wdith"),
    ],
)
def test_wrong_encoding_options(crop: NDArray[np.uint8], options: Any, message: str) -> None:
    with pytest.raises(i2codec.OptionError, match=message):
        i2codec.encode(crop, **options)


def test_keywords_and_options_are_the_same() -> None:
    hints = get_type_hints(EncodeKeywords)
    assert hints.keys() == {field.name for field in fields(EncodeOptions)}
    assert hints == {name: kind for name, kind in get_type_hints(EncodeOptions).items() if name in hints}
    assert options_from({}) == EncodeOptions()


def test_the_public_names_are_listed_and_there() -> None:
    assert i2codec.__all__ == sorted(i2codec.__all__)
    for name in i2codec.__all__:
        assert getattr(i2codec, name) is not None
    notices = {name for name in vars(i2codec.notices) if name[0].isupper()}
    errors = {name for name in vars(i2codec.errors) if name[0].isupper()}
    assert set(i2codec._LAZY) | errors | notices == set(i2codec.__all__)
    with pytest.raises(AttributeError, match="no attribute 'encoed'"):
        _ = i2codec.encoed  # type: ignore[attr-defined]


def test_version_changelog_and_project_agree() -> None:
    root = Path(__file__).parents[1]
    assert f'version = "{i2codec.__version__}"' in (root / "pyproject.toml").read_text()
    assert f"## {i2codec.__version__}" in (root / "CHANGELOG.md").read_text()
