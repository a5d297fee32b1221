import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numba
import numpy as np
import pytest

from i2codec.latents import kernel, model, template
from i2codec.latents.coder import code_lengths, decode_latents, encode_latents
from i2codec.latents.model import ContextModel
from i2codec.latents.template import Template


def random_model(which, *, width, seed=0):
    rng = np.random.default_rng(seed)
    shapes = (1, width, which.feature_count), (1, width), (1, width, width), (1, width), (1, 2, width), (1, 2)
    return ContextModel(which, *(rng.integers(-200, 200, shape) for shape in shapes))


def arguments_of(which, *, width, seed=0):
    return {"coarser": None, "coarsest": None, "model": random_model(which, width=width, seed=seed), "level": 0}


def test_the_compiled_loop_has_the_same_constants():
    assert kernel._LARGEST_LATENT == template.LARGEST_LATENT
    assert Template.LATTICE.largest_latent == kernel._LARGEST_OF_LATTICE
    assert {kernel._LAST_SCALE + 1, kernel._LAST_OF_LATTICE + 1} == {which.scale_count for which in Template}
    assert kernel._LARGEST_FEATURE == template.LARGEST_FEATURE
    assert model.LARGEST_ACTIVATION == 4095
    assert -min(min(offset[1:]) for which in Template for offset in which.offsets) <= kernel.BORDER


def test_threads_decode_what_one_decodes():
    rng = np.random.default_rng(0)
    jobs = []
    for seed in range(16):
        which, width = list(Template)[seed % 4], (3, 20)[seed // 4 % 2]
        values = rng.integers(-9, 9, (2, 40, 50 + seed), dtype=np.int32)
        arguments = arguments_of(which, width=width, seed=seed)
        jobs.append((values, encode_latents(values, **arguments), arguments))
    with ThreadPoolExecutor(4) as pool:
        futures = [
            pool.submit(decode_latents, data, shape=values.shape, **arguments) for values, data, arguments in jobs * 3
        ]
        for (values, _, _), future in zip(jobs * 3, futures, strict=True):
            np.testing.assert_array_equal(future.result(), values)


@pytest.mark.parametrize("which", Template)
@pytest.mark.parametrize("width", [1, 16, 17, 32])
def test_one_compilation_serves_all_grids_and_directions(which, width):
    arguments = arguments_of(which, width=width)
    for shape in ((1, 1, 1), (1, 3, 1), (2, 3, 4)):
        values = np.zeros(shape, dtype=np.int16)
        coarser = {"coarser": np.zeros(which.coarser_shape(shape), order="F", dtype=np.int64)}
        decode_latents(encode_latents(values, **arguments), shape=shape, **arguments)
        if which is not Template.LATTICE:
            decode_latents(encode_latents(values, **(arguments | coarser)), shape=shape, **(arguments | coarser))
        code_lengths(values, **arguments)
    loop = kernel.traversal(
        features=which.feature_count,
        width=16 if width <= 16 else 32,
        is_lattice=which is Template.LATTICE,
        halves_planes=which.halves_planes,
    )
    assert len(loop.signatures) == 1


def test_it_works_where_no_cache_can_be_written(monkeypatch):
    compile_for = numba.njit

    def refuse_cache(**options):
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return compile_for(**options)

    monkeypatch.setattr(kernel, "_njit", refuse_cache)

    def double(x):
        return 2 * x

    assert kernel._compiled(double)(21) == 42


def test_numba_is_loaded_when_something_is_coded_and_no_earlier():
    code = (
        "import sys, i2codec.latents.coder, i2codec.latents.plain, i2codec.latents.tables\n"
        "i2codec.latents.tables.load_latent_tables(1)\n"
        "assert not {'numba', 'llvmlite', 'torch'} & set(sys.modules)\n"
        "import i2codec.latents.kernel\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120, cwd=Path(__file__).parents[2])


def test_a_second_process_takes_the_compiled_loop_from_the_cache(tmp_path):
    code = (
        "import numpy as np\n"
        "from i2codec.latents import coder, kernel, model\n"
        "shapes = (1, 1, 17), (1, 1), (1, 1, 1), (1, 1), (1, 2, 1), (1, 2)\n"
        "zeros = model.ContextModel(1, *(np.zeros(shape, int) for shape in shapes))\n"
        "coder.encode_latents(np.zeros((1, 2, 2), int), coarser=None, coarsest=None, model=zeros, level=0)\n"
        "print(sum(kernel.traversal(features=17, width=16).stats.cache_hits.values()))"
    )
    hits = [
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        ).stdout.strip()
        for _ in range(2)
    ]
    assert hits == ["0", "1"]
