import numpy as np
import pytest
import torch

from i2codec.errors import DeviceError, OptionError
from i2codec.field.architecture import Filter
from i2codec.render import devices
from i2codec.render.devices import DEVICES, choose_device, evaluator
from i2codec.render.field import Field
from i2codec.render.render import render_signal


@pytest.fixture
def machine(monkeypatch):
    """Pretend that the driver and a device are there, or not."""

    def set_machine(*, driver, device):
        monkeypatch.setattr(devices, "_has_driver", lambda: driver)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: device)

    return set_machine


@pytest.mark.parametrize("name", ["", "CPU", "gpu", "cuda:0"])
def test_unknown_devices_are_refused(name):
    with pytest.raises(OptionError, match=f"unknown device {name!r}; expected one of {', '.join(DEVICES)}"):
        choose_device(name)


@pytest.mark.parametrize(
    ("driver", "device", "expected"), [(False, True, "cpu"), (True, False, "cpu"), (True, True, "cuda")]
)
def test_auto_takes_the_gpu_where_there_is_one(machine, driver, device, expected):
    machine(driver=driver, device=device)
    assert choose_device("auto") == expected
    assert choose_device("cpu") == "cpu"


@pytest.mark.parametrize("driver", [False, True])
def test_cuda_never_falls_back(machine, driver):
    machine(driver=driver, device=False)
    with pytest.raises(DeviceError, match="use --device cpu or auto"):
        choose_device("cuda")
    machine(driver=driver, device=True)
    assert choose_device("cuda") == "cuda"


def test_the_driver_is_looked_for_without_torch():
    assert devices._has_driver() in (False, True)


def test_the_cpu_runs_the_reference(make_stored):
    network = make_stored().network.dequantised()
    assert evaluator(network, device="cpu") == network.evaluate


@pytest.mark.parametrize("filter", Filter)
def test_the_torch_path_computes_the_same(make_stored, filter):
    # the path of the GPU, here on torch's "cpu:0", which is not the name of the NumPy path
    stored = make_stored(filter=filter, state=24, depth=2)
    x = Field(stored).coordinates()
    network = stored.network.dequantised()
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
