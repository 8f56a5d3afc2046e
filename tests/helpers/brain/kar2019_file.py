"""A dataset.h5 in the layout of Kar et al. (2019), of the real size.

The files have holes: of each picture only a few lines are written, the rest of a contiguous dataset takes no room.
"""

import h5py
import numpy as np

COUNT = 1320
LINE = 64  # of each picture: the one in which no two are the same
TWICE = {700: 20, 1319: 9}  # a picture, and the earlier one that it repeats


def lines(rng):
    """(image, channel, place on the line): what stands on line LINE."""
    values = rng.integers(1, 256, (COUNT, 3, 256), dtype=np.uint8)
    for later, earlier in TWICE.items():
        values[later] = values[earlier]
    return values


def contiguous(file, name, shape, dtype):
    """A dataset whose unwritten parts are holes in the file."""
    made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    made.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    space = h5py.h5s.create_simple(shape)
    h5py.h5d.create(file.id, name.encode(), h5py.h5t.py_create(np.dtype(dtype)), space, made)
    return file[name]


def write(
    path, values, dtype="u1", scale=1, reverse=False, column=(COUNT,), obj=None, leave_out=(), shape=None
):
    """A dataset.h5 with the lines as given: image, channel, x in the file's first form, where line LINE is x = LINE."""
    shape = shape or (COUNT, 3, 256, 256)
    numbers = np.arange(COUNT)
    columns = {
        "obj": (numbers % 10 + 1.0).reshape(column) if obj is None else obj,
        "i1": (numbers / 1000).reshape(column),
        "ost": np.where(numbers % 7, 100.0 + numbers / 10, np.nan).reshape(column),
    }
    with h5py.File(path, "w") as file:
        images = contiguous(file, "images", shape[::-1] if reverse else shape, dtype)
        if values is not None:
            content = values.astype(dtype) * np.dtype(dtype).type(scale)
            if reverse:
                images[:, LINE] = content.transpose(2, 1, 0)
            else:
                images[:, :, LINE] = content
        for name, data in columns.items():
            file[name] = data
        for name in leave_out:
            del file[name]
    return path
