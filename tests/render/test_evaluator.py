import numpy as np
import pytest
import torch

from i2codec.field.architecture import Filter
from i2codec.render.evaluator import evaluator
from i2codec.render.field import Field
from i2codec.render.render import render_signal


def test_the_cpu_runs_the_reference(make_stored):
    network = make_stored().networks[0].dequantised()
    assert evaluator(network, device="cpu") == network.evaluate


@pytest.mark.parametrize("filter", Filter)
def test_the_torch_path_computes_the_same(make_stored, filter):
    # the path of the GPU, here on torch's "cpu:0", which is not the name of the NumPy path
    stored = make_stored(filter=filter, state=24, depth=2)
    x = Field(stored).coordinates()
    network = stored.networks[0].dequantised()
    found = evaluator(network, device="cpu:0")(x)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, network.evaluate(x), atol=2e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("filter", Filter)
def test_the_gpu_is_within_a_step_of_an_eight_bit_channel(make_stored, filter):
    stored = make_stored(150, 200, filter=filter, state=32)
    on_cpu, on_gpu = (
        render_signal(stored, extents=(190, 130), device=device).to_source().astype(int) for device in ("cpu", "cuda")
    )
    assert np.abs(on_cpu - on_gpu).max() <= 1
