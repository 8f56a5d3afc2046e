"""Register the eight categories and their 64 objects."""

from functools import cache

from cornet.errors import CornetError
from cornet.stimuli.objects.shapes.animals import ANIMALS
from cornet.stimuli.objects.shapes.boats import BOATS
from cornet.stimuli.objects.shapes.cars import CARS
from cornet.stimuli.objects.shapes.chairs import CHAIRS
from cornet.stimuli.objects.shapes.faces import FACES
from cornet.stimuli.objects.shapes.fruit import FRUIT
from cornet.stimuli.objects.shapes.planes import PLANES
from cornet.stimuli.objects.shapes.tables import TABLES
from cornet.stimuli.objects.tracing import Shape

__all__ = ["CATEGORIES", "OBJECTS", "shape_of"]

_BUILDERS = {
    "animal": ANIMALS,
    "boat": BOATS,
    "car": CARS,
    "chair": CHAIRS,
    "face": FACES,
    "fruit": FRUIT,
    "plane": PLANES,
    "table": TABLES,
}

CATEGORIES: tuple[str, ...] = tuple(_BUILDERS)
"""Category names in label order."""

OBJECTS: dict[str, tuple[str, ...]] = {
    category: tuple(f"{category}_{name}" for name in builders) for category, builders in _BUILDERS.items()
}
"""Names of the objects of each category, e.g. car_beetle."""


@cache
def shape_of(object_name: str) -> Shape:
    """Shape of an object, built once per process. Raises CornetError for an unknown name."""
    category, _, name = object_name.partition("_")
    if object_name not in OBJECTS.get(category, ()):
        raise CornetError(
            f"object_name={object_name!r} is unknown; choose one of cornet.stimuli.objects.OBJECTS."
        )
    return Shape.of(_BUILDERS[category][name]())
