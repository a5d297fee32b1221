import pytest
import torch

from i2codec import devices
from i2codec.devices import DEVICES, choose_device
from i2codec.errors import DeviceError, OptionError


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
