"""The command line, driven as a user drives it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from PIL import Image

from i2codec.cli.main import main

Run = Callable[..., Result]
_GOLDEN = Path(__file__).parents[1] / "golden"
_QUICK = ("--preset", "draft", "--steps", "60", "--width", "16", "--device", "cpu")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: str, stdin: bytes | None = None) -> Result:
        return CliRunner().invoke(main, list(arguments), input=stdin)

    return invoke


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory, crop: NDArray[np.uint8]) -> bytes:
    folder = tmp_path_factory.mktemp("packed")
    Image.fromarray(crop).save(folder / "photo.png")
    result = CliRunner().invoke(main, ["encode", str(folder / "photo.png"), *_QUICK])
    assert result.exit_code == 0, result.output
    return (folder / "photo.i2").read_bytes()


@pytest.fixture
def photo(tmp_path: Path, crop: NDArray[np.uint8]) -> Path:
    Image.fromarray(crop).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def _fails(result: Result, *, status: int = 1) -> str:
    """The one line on standard error of a command that failed as expected."""
    assert result.exit_code == status, result.output
    assert result.stdout == ""
    lines = result.stderr.strip().splitlines()
    if status == 1:
        assert len(lines) == 1
        assert lines[0].startswith("i2codec: ")
    assert "Traceback" not in result.stderr
    return result.stderr


def test_there_and_back_with_default_names(run: Run, photo: Path, packed: bytes) -> None:
    assert run("encode", "photo.png", *_QUICK).exit_code == 0
    assert Path("photo.i2").read_bytes() == packed
    photo.unlink()
    assert run("decode", "photo.i2").exit_code == 0
    with Image.open("photo.png") as picture:
        assert (picture.size, picture.mode) == ((96, 64), "RGB")
    assert sorted(path.name for path in Path().iterdir()) == ["photo.i2", "photo.png"]


def test_the_output_format_follows_the_name(run: Run, packed: bytes) -> None:
    Path("p.i2").write_bytes(packed)
    for name, kind in (("a.jpg", "JPEG"), ("a.webp", "WEBP"), ("a.tiff", "TIFF"), ("a.PNG", "PNG")):
        assert run("decode", "p.i2", "-o", name).exit_code == 0
        with Image.open(name) as picture:
            assert picture.format == kind
    assert run("decode", "p.i2", "-o", "a.npy").exit_code == 0
    assert np.load("a.npy").shape == (64, 96, 3)


def test_scale_size_and_region(run: Run, packed: bytes) -> None:
    Path("p.i2").write_bytes(packed)
    assert run("decode", "p.i2", "-o", "double.png", "--scale", "2").exit_code == 0
    assert run("decode", "p.i2", "-o", "part.png", "--region", "3,4,20,10", "--scale", "2").exit_code == 0
    with Image.open("double.png") as whole, Image.open("part.png") as part:
        assert whole.size == (192, 128)
        assert part.size == (40, 20)
        np.testing.assert_array_equal(np.asarray(whole)[8:28, 6:46], np.asarray(part))
    wide = run("decode", "p.i2", "-o", "wide.png", "--size", "100x20")
    assert wide.exit_code == 0
    assert wide.stderr == "i2codec: size 100x20 does not keep the aspect of 96x64\n"
    assert run("decode", "p.i2", "-o", "same.png", "--size", "48x32").stderr == ""


def test_standard_streams(run: Run, photo: Path, packed: bytes) -> None:
    encoded = run("encode", "-", *_QUICK, stdin=photo.read_bytes())
    assert encoded.exit_code == 0
    assert encoded.stdout_bytes == packed
    decoded = run("decode", "-", stdin=encoded.stdout_bytes)
    with Image.open(io.BytesIO(decoded.stdout_bytes)) as picture:
        assert (picture.format, picture.size) == ("PNG", (96, 64))
    assert json.loads(run("info", "-", "--json", stdin=packed).stdout)["width"] == 16


@pytest.mark.parametrize(("kind", "name"), [("sound", "a.wav"), ("video", "a.mp4"), ("shape", "a.obj")])
def test_the_default_output_follows_the_kind(run: Run, kind: str, name: str) -> None:
    Path("a.i2").write_bytes((_GOLDEN / f"{kind}_v1.i2").read_bytes())
    result = run("decode", "a.i2")
    assert (result.exit_code, result.output) == (0, "")
    assert sorted(path.name for path in Path().iterdir()) == sorted(["a.i2", name])
    assert "--force" in _fails(run("decode", "a.i2"))


def test_standard_streams_carry_a_sound(run: Run) -> None:
    packed = (_GOLDEN / "sound_v1.i2").read_bytes()
    decoded = run("decode", "-", "--start", "0.5", stdin=packed)
    assert decoded.exit_code == 0
    samples, rate = soundfile.read(io.BytesIO(decoded.stdout_bytes), dtype="int16")
    assert (len(samples), rate) == (5000, 8000)
    again = run("encode", "-", *_QUICK, stdin=decoded.stdout_bytes)
    assert json.loads(run("info", "-", "--json", stdin=again.stdout_bytes).stdout)["shape"] == [5000, 1]
    assert list(Path().iterdir()) == []


def test_info(run: Run, packed: bytes) -> None:
    Path("p.i2").write_bytes(packed)
    values = json.loads(run("info", "p.i2", "--json").stdout)
    assert values["kind"] == "photo"
    assert values["version"] == "1.0"
    assert values["shape"] == [64, 96, 3]
    assert values["size_bytes"] == len(packed)
    assert values["rate_bpp"] == pytest.approx(8 * len(packed) / (64 * 96))
    assert values["sections"].keys() == {"signal", "network"}
    assert sum(values["sections"].values()) == len(packed) - 16 - 33  # head and END
    assert (values["field"], values["filter"], values["width"]) == ("coordinate", "siren", 16)
    assert values["parameters"] == 16 * 16 + 16 * 2 * 2 + 16 * 2 + 16 * 3 + 3
    assert 1 <= values["steps"] <= 64
    assert 0.0 <= values["contraction"] <= 0.5
    assert values["gain"] > 0.0
    assert values["macs_per_point"] == 16 * 2 * 2 + values["steps"] * 16 * 16 + 16 * 3
    plain = run("info", "p.i2").stdout
    assert "shape           64 x 96 x 3\n" in plain


def test_compare(run: Run, photo: Path, packed: bytes) -> None:
    Path("p.i2").write_bytes(packed)
    values = json.loads(run("compare", "photo.png", "p.i2", "--json").stdout)
    assert values["size_bytes"] == len(packed)
    assert 17.0 < values["psnr_db"] < 40.0
    assert values["ms_ssim"] is None
    assert values["ms_ssim_reason"] == "the shorter side has 64 pixels; MS-SSIM needs 161"
    run("decode", "p.i2", "-o", "q.png")
    assert json.loads(run("compare", "photo.png", "q.png", "--json").stdout)["psnr_db"] == pytest.approx(
        values["psnr_db"], abs=1e-6
    )
    same = json.loads(run("compare", "photo.png", "photo.png", "--json").stdout)
    assert same["psnr_db"] is None
    assert "psnr_db" in run("compare", "photo.png", "p.i2").stdout


def test_compare_large_photos_and_other_channels(run: Run, photo_path: Path) -> None:
    with Image.open(photo_path) as picture:
        picture.convert("L").save("grey.png")
        picture.save("lossy.jpg", quality=40)
        picture.convert("RGBA").save("opaque.png")
    values = json.loads(run("compare", str(photo_path), "lossy.jpg", "--json").stdout)
    assert 0.9 < values["ms_ssim"] < 0.999
    assert "ms_ssim_reason" not in values
    assert json.loads(run("compare", str(photo_path), "opaque.png", "--json").stdout)["psnr_db"] is None
    assert 5.0 < json.loads(run("compare", str(photo_path), "grey.png", "--json").stdout)["psnr_db"] < 30.0


def test_verify(run: Run, packed: bytes) -> None:
    Path("p.i2").write_bytes(packed)
    assert run("verify", "p.i2").stdout == "p.i2: ok\n"
    Path("p.i2").write_bytes(packed[:200] + bytes([packed[200] ^ 1]) + packed[201:])
    assert "CRC" in _fails(run("verify", "p.i2"))


def test_transparent_photos_need_a_background_for_jpeg(run: Run, crop: NDArray[np.uint8]) -> None:
    Image.fromarray(crop).convert("RGBA").save("p.png")
    assert run("encode", "p.png", *_QUICK).exit_code == 0
    assert "--background" in _fails(run("decode", "p.i2", "-o", "p.jpg"))
    assert not Path("p.jpg").exists()
    assert run("decode", "p.i2", "-o", "p.jpg", "--background", "white").exit_code == 0
    assert "background" in _fails(run("decode", "p.i2", "-o", "q.jpg", "--background", "nocolour"))


def test_an_existing_output_needs_force(run: Run, photo: Path, packed: bytes) -> None:
    Path("photo.i2").write_bytes(b"old")
    assert "--force" in _fails(run("encode", "photo.png", *_QUICK))
    assert Path("photo.i2").read_bytes() == b"old"
    assert run("encode", "photo.png", "--force", *_QUICK).exit_code == 0
    assert Path("photo.i2").read_bytes() == packed
    assert "--force" in _fails(run("decode", "photo.i2"))
    assert run("decode", "photo.i2", "--force").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("encode", "missing.png"), "missing.png"),
        (("encode", "."), "."),
        (("encode", "text.png"), "text.png"),
        (("encode", "photo.png", "-o", "no/such/folder.i2"), "does not exist"),
        (("encode", "photo.png", "--device", "cuda"), "no CUDA device was found"),
        (("decode", "missing.i2"), "missing.i2"),
        (("decode", "text.png", "-o", "x.png"), "not an .i2 file"),
        (("decode", "p.i2", "-o", "x.xyz"), ".xyz"),
        (("decode", "p.i2", "-o", "x.png", "--scale", "-1"), "above 0"),
        (("decode", "p.i2", "-o", "x.png", "--region", "0,0,999,1"), "does not lie inside"),
        (("info", "text.png"), "not an .i2 file"),
        (("verify", "text.png"), "not an .i2 file"),
        (("compare", "photo.png", "text.png"), "text.png"),
        (("encode", "photo.png", "--field", "grid", "--width", "9"), "width is of the coordinate field"),
        (("encode", "photo.png", "--lmbda", "1", "--quality", "3"), "at most one"),
    ],
)
def test_failures_are_one_line_and_leave_nothing(
    run: Run, photo: Path, packed: bytes, arguments: tuple[str, ...], expected: str
) -> None:
    Path("text.png").write_text("This is no picture.")
    Path("p.i2").write_bytes(packed)
    before = sorted(path.name for path in Path().iterdir())
    assert expected in _fails(run(*arguments))
    assert sorted(path.name for path in Path().iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("encode",), "Missing argument"),
        (("encode", "p.png", "--preset", "best"), "'best' is not one of"),
        (("encode", "p.png", "--target-size", "12q"), "is not a size"),
        (("decode", "p.i2", "--size", "12"), "expected width and height"),
        (("decode", "p.i2", "--region", "1,2,3"), "is not a region"),
        (("explode",), "No such command"),
    ],
)
def test_wrong_usage_is_status_two(run: Run, arguments: tuple[str, ...], expected: str) -> None:
    assert expected in _fails(run(*arguments), status=2)


@pytest.mark.parametrize(("text", "size_bytes"), [("5000", 5000), ("12k", 12_000), ("1.5M", 1_500_000)])
def test_sizes(text: str, size_bytes: int) -> None:
    from i2codec.cli.parameters import SizeBytes

    assert SizeBytes().convert(text, None, None) == size_bytes


def test_a_missed_target_is_one_line(run: Run, photo: Path) -> None:
    result = run("encode", "photo.png", "--target-size", "40", "--steps", "20")
    assert result.exit_code == 0
    assert "was not met within 5 %" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["encode", "decode", "info", "compare", "verify"])
def test_help_names_every_option_of_the_command(run: Run, command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    for parameter in main.commands[command].params:
        assert all(option in result.stdout for option in parameter.opts if option.startswith("--"))
