"""3D shapes in and out: the public face of the ``shape_*`` modules."""

from i2codec.media.shape_domain import GRID_CELLS, describe_shape
from i2codec.media.shape_formats import (
    SHAPE_EXTENSIONS,
    check_shape_output,
    shape_container,
)
from i2codec.media.shape_mesh import MAX_FACES, Mesh
from i2codec.media.shape_metrics import compare_shapes
from i2codec.media.shape_read import read_shape
from i2codec.media.shape_sampling import sample_shape
from i2codec.media.shape_solid import check_solid
from i2codec.media.shape_surface import surface
from i2codec.media.shape_write import write_shape

__all__ = [
    "GRID_CELLS",
    "MAX_FACES",
    "SHAPE_EXTENSIONS",
    "Mesh",
    "check_shape_output",
    "check_solid",
    "compare_shapes",
    "describe_shape",
    "read_shape",
    "sample_shape",
    "shape_container",
    "surface",
    "write_shape",
]
