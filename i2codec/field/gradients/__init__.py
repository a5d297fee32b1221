"""How the loss passes the fixed point, chosen apart from how it was solved."""

from i2codec.field.gradients.by_name import get_gradient
from i2codec.field.gradients.contract import Gradient
from i2codec.field.gradients.implicit import Implicit
from i2codec.field.gradients.one_step import OneStep
from i2codec.field.gradients.phantom import Phantom

__all__ = ["Gradient", "Implicit", "OneStep", "Phantom", "get_gradient"]
