"""Imports go down only."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "i2codec"

# What each part may import of the others, apart from itself.
_LOW = {"errors", "container", "signal"}
_MIDDLE = _LOW | {"entropy", "latents", "field", "prior", "payload"}
_HIGH = _MIDDLE | {"devices", "media", "fit", "render", "options", "output", "notices", "selection", "sources", "sinks"}
ALLOWED = {
    "errors": set(),
    "notices": set(),
    "devices": {"errors"},
    "container": {"errors"},
    "signal": {"errors"},
    "entropy": {"errors"},
    "latents": {"errors"},
    "field": {"errors"},
    "prior": {"errors", "field"},
    "media": {"errors", "signal"},
    "payload": _LOW | {"entropy", "latents", "field", "prior"},
    "fit": _MIDDLE,
    "render": _MIDDLE | {"devices"},
    "options": {"errors", "fit"},
    "output": {"errors"},
    "selection": {"errors", "signal", "payload", "render"},
    "sources": {"errors", "signal", "media"},
    "sinks": _LOW | {"payload", "render", "selection", "media"},
    "_encoding": _HIGH,
    "_api": _HIGH | {"_encoding"},
    "_inspect": _HIGH | {"_api"},
    "_compare": _HIGH | {"_api"},
    "__init__": _HIGH | {"_api", "_inspect", "_compare"},
    "cli": {
        "errors",
        "notices",
        "devices",
        "fit",
        "options",
        "container",
        "payload",
        "signal",
        "sinks",
        "_api",
        "__init__",
    },
    "__main__": {"cli"},
}
# The command line reads these for its defaults and its progress bar before anything heavy is loaded.
LIGHT_FIT = {"i2codec.fit", "i2codec.fit.goals", "i2codec.fit.presets", "i2codec.fit.progress"}
STANDARD_LIBRARY_ONLY = {
    "errors",
    "notices",
    "options",
    "output",
    "signal.description",
    "signal.segments",
    "signal.timestamps",
    "field.architecture",
    "payload.ids",
    *(name.removeprefix("i2codec.") for name in LIGHT_FIT),
}


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def part_of(module):
    """The part of the package that a module belongs to; the package itself is ``__init__``."""
    return [*module.split("."), "__init__"][1]


def imports_of(source):
    """Names of all modules that a source imports anywhere, for type checkers too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else node.module


def forbidden(module, source):
    own = part_of(module)
    inner = {name for name in imports_of(source) if name.partition(".")[0] == "i2codec"}
    return {name for name in inner if part_of(name) not in ALLOWED[own] | {own}}


def test_every_part_has_its_place():
    assert {part_of(module) for module in MODULES} == set(ALLOWED)


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down_only(module):
    assert forbidden(module, MODULES[module].read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("i2codec.render.field", "from i2codec.fit.goals import Goal"),
        ("i2codec.container.head", "def f():\n    import i2codec.signal.grid"),
        ("i2codec.fit.loop", "from i2codec import options"),
        ("i2codec.signal.signal", "import i2codec"),
    ],
)
def test_an_import_that_goes_up_is_found(module, source):
    assert forbidden(module, source)


def test_what_is_loaded_early_fit_the_standard_library():
    assert {f"i2codec.{name}" for name in STANDARD_LIBRARY_ONLY} <= set(MODULES)


@pytest.mark.parametrize(
    "module",
    [name for name in MODULES if name.removeprefix("i2codec.") in STANDARD_LIBRARY_ONLY or ".container" in name],
)
def test_these_modules_import_the_standard_library_only(module):
    names = {name.partition(".")[0] for name in imports_of(MODULES[module].read_text(encoding="utf-8"))}
    assert names - {"i2codec"} <= sys.stdlib_module_names


def loaded_by(code):
    """Output of a fresh interpreter that ran ``code``, and the modules it had loaded in the end."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(); print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        cwd=ROOT,
    )
    *output, modules = done.stdout.splitlines()
    return "\n".join(output), set(modules.split())


HEAVY = {"torch", "numpy", "av", "PIL", "soundfile", "zstandard", "constriction", "numba", "rich"}


def test_importing_the_package_is_light():
    _, modules = loaded_by("import i2codec; i2codec.__version__, i2codec.FormatError, dir(i2codec)")
    assert "i2codec.errors" in modules
    assert modules & HEAVY == set()


@pytest.mark.parametrize("arguments", [["--help"], ["encode", "--help"], ["decode", "--help"], ["--version"]])
def test_help_is_light(arguments):
    code = (
        "from i2codec.cli.main import main\n"
        f"try:\n    main({arguments!r}, prog_name='i2codec')\nexcept SystemExit as stop:\n    assert not stop.code"
    )
    output, modules = loaded_by(code)
    assert "i2codec" in output
    assert modules & HEAVY == set()
    assert {name for name in modules if name.startswith("i2codec.fit")} <= LIGHT_FIT


def test_decoding_loads_neither_torch_nor_the_encoder(tmp_path):
    import numpy as np

    from i2codec.field.architecture import Architecture, Filter
    from i2codec.payload.file import StoredSignal, write_file
    from i2codec.payload.network_section import QuantisedNetwork
    from i2codec.signal.colour import ColourTransform
    from i2codec.signal.description import Axis, AxisName, ChannelRole, Kind, SampleFormat, SignalDescription

    architecture = Architecture(Filter.SIREN, 3, 1, 2, 1)
    integers = {name: np.ones(shape, dtype=np.int64) for name, shape in architecture.tensor_shapes.items()}
    network = QuantisedNetwork(architecture, integers, dict.fromkeys(integers, 0.125), 0.5, 9, ColourTransform.NONE)
    axes = (Axis(AxisName.Y, 3), Axis(AxisName.X, 4))
    description = SignalDescription(Kind.PHOTO, axes, (ChannelRole.GREY,), SampleFormat.UINT8)
    path = tmp_path / "photo.i2"
    path.write_bytes(write_file([StoredSignal(description, (network,))]))
    output, modules = loaded_by(f"import i2codec; print(i2codec.decode({str(path)!r}, device='cpu').samples.shape)")
    assert output.split("\n")[0] == "(3, 4, 1)"
    assert modules & {"torch", "av", "soundfile", "rich", "click"} == set()
    assert {name for name in modules if name.startswith("i2codec.fit")} <= LIGHT_FIT
