"""Changes to the structure of a real HDF5 file, of the kinds that a damaged or hostile assembly may have."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

UNWRITTEN = (TypeError, ValueError, KeyError, OSError, RuntimeError, OverflowError, MemoryError)
"""Of what h5py does not let be written."""

CHANGES = (
    *(
        "type",
        "type",
        "type",
        "shape",
        "shape",
        "enormous",
        "enormous dimension",
        "link",
        "cycle",
        "outside",
        "virtual",
    ),
    *(
        "stored outside",
        "attribute",
        "attribute",
        "attribute gone",
        "reference",
        "group",
        "group cycle",
        "gone",
        "name",
    ),
    *("filter", "nothing", "long text", "values", "more"),
)
FILLING = ("type", "shape", "filter", "long text", "values", "more")
MOST_FILLED = 10**6
"""Values of a dataset that these changes fill: pixels of 1,320 images would be gigabytes."""

TYPES = (
    "f2",
    "f8",
    "i1",
    "u8",
    "?",
    "c16",
    "S3",
    "O",
    "ref",
    "vlen",
    "enum",
    "compound",
    "opaque",
    "array",
    "M8",
    "nan",
)


def alter(
    file: Any, kind: str, which: int, dtype: str, text: str, number: float, outside: Path, secret: Path
) -> None:
    """One change of a netCDF file's structure."""
    names = [name for name in file if isinstance(file.get(name), h5py.Dataset)]
    if kind in FILLING:
        names = [name for name in names if file[name].size < MOST_FILLED]
    name = names[which % len(names)]
    old = file[name]
    if kind == "type":
        replace(file, name, odd_values_of(dtype, old.shape, file), old.dims)
    elif kind == "shape":
        shape = [(), (0,), (1,), (3, 3), old.shape[::-1], (*old.shape, 1), (1,) * 32, (2, *old.shape)][
            which % 8
        ]
        replace(file, name, np.zeros(shape, "f4"), old.dims)
    elif kind == "enormous":
        size = [10**12, 10**9, 10**8, 2**62][which % 4]
        shape = (size, *old.shape[1:]) if old.shape else (size,)
        made = old.dtype
        del file[name]
        file.create_dataset(name, shape, made, chunks=(64, *shape[1:]))
    elif kind == "enormous dimension":
        size = [10**12, 10**8, 3 * 10**7][which % 3]
        for dimension in ("presentation", "neuroid")[which % 2 :]:
            for one in names:
                if one in file and dimension in [scale.label for scale in file[one].dims] + [one]:
                    made = file[one].dtype
                    del file[one]
                    file.create_dataset(one, (size,), made, chunks=(1024,))
    elif kind == "link":
        del file[name]
        file[name] = h5py.SoftLink(["/", f"/{name}", "/nowhere", f"/{names[0]}"][which % 4])
    elif kind == "cycle":
        del file[name]
        file[name], file["b"] = h5py.SoftLink("/b"), h5py.SoftLink(f"/{name}")
    elif kind == "outside":
        del file[name]
        file[name] = h5py.ExternalLink(str(outside) if which % 2 else "/etc/passwd", f"/{name}")
    elif kind == "virtual":
        layout = h5py.VirtualLayout(old.shape, old.dtype)
        layout[...] = h5py.VirtualSource(str(outside), name, shape=old.shape)
        del file[name]
        file.create_virtual_dataset(name, layout)
    elif kind == "stored outside":
        shape, made = old.shape, ("S1" if old.dtype.kind == "O" else old.dtype)
        del file[name]
        file.create_dataset(name, shape, made, external=[(str(secret), 0, h5py.h5f.UNLIMITED)])
    elif kind == "attribute":
        words = (
            "units",
            "_FillValue",
            "scale_factor",
            "add_offset",
            "dtype",
            "coordinates",
            "calendar",
            "_Unsigned",
            "CLASS",
            "NAME",
            "_Netcdf4Dimid",
            "_Netcdf4Coordinates",
            "missing_value",
            "_Encoding",
            "identifier",
        )
        where = file if which % 5 == 0 else old
        where.attrs[words[which % len(words)]] = text if which % 2 else number
    elif kind == "attribute gone":
        for attribute in list(old.attrs)[which % 3 :]:
            del old.attrs[attribute]
    elif kind == "reference":
        lists = [one for one in names if "DIMENSION_LIST" in file[one].attrs]
        one = file[lists[which % len(lists)]]
        del one.attrs["DIMENSION_LIST"]
        target = [file.ref, old.ref, h5py.Reference()][which % 3]
        rows = np.empty(max(1, one.ndim), object)
        for k in range(len(rows)):
            rows[k] = np.array([target], h5py.ref_dtype)
        one.attrs.create("DIMENSION_LIST", rows, dtype=h5py.vlen_dtype(h5py.ref_dtype))
    elif kind == "group":
        del file[name]
        file.create_group(name)
    elif kind == "group cycle":
        group = file.create_group("cycle")
        group["again"] = group
        group["root"] = file["/"]
    elif kind == "gone":
        del file[name]
    elif kind == "name":
        file.move(name, text.replace("\0", "") or "x")
    elif kind == "filter":
        values = np.zeros((max(1, old.size),)).reshape(old.shape)
        del file[name]
        options = [
            {"compression": "gzip"},
            {"compression": "lzf"},
            {"scaleoffset": 2},
            {"fletcher32": True},
            {"shuffle": True},
        ]
        file.create_dataset(name, data=values, chunks=True, **options[which % 5])
    elif kind == "nothing":
        shape = old.shape
        del file[name]
        file.create_dataset(name, (0, *shape[1:]), "f4")
    elif kind == "long text":
        values = np.array(["a"] * max(1, old.size), object)
        values[0] = "x" * 500_000
        replace(file, name, values.reshape(old.shape), old.dims)
    elif kind == "values":
        with np.errstate(over="ignore"):
            old[...] = number if old.dtype.kind in "fiu" else text
    else:
        for k in range(3000 if which % 7 == 0 else 3):
            file[f"more{k}"] = np.zeros(old.shape if which % 2 else (2, 3))


def replace(file: Any, name: str, values: Any, dimensions: Any) -> None:
    """Another dataset in the place of one, along the same dimensions."""
    scales = [
        [file[other] for other in file if any(s == file.get(other) for s in d.values())] for d in dimensions
    ]
    attributes = dict(file[name].attrs.items())
    del file[name]
    made = (
        file.create_dataset(name, data=values)
        if not isinstance(values, tuple)
        else file.create_dataset(name, values[0], values[1])
    )
    for word, value in attributes.items():
        if word not in ("DIMENSION_LIST", "REFERENCE_LIST", "CLASS", "NAME"):
            made.attrs[word] = value
    if "CLASS" in attributes:
        made.make_scale(name)
    for axis, found in enumerate(scales[: made.ndim]):
        for scale in found:
            made.dims[axis].attach_scale(scale)


def odd_values_of(dtype: str, shape: tuple[int, ...], file: Any) -> Any:
    """Values of a type that nobody expects there."""
    size = max(1, int(np.prod(shape)))
    if dtype == "O":
        return np.array([b"\xff\xfe"] * size, object).reshape(shape)
    special = {
        "ref": h5py.ref_dtype,
        "vlen": h5py.vlen_dtype(np.dtype("i4")),
        "enum": h5py.enum_dtype({"a": 1, "b": 2}),
        "compound": np.dtype([("x", "f4"), ("y", "S3")]),
        "opaque": h5py.opaque_dtype(np.dtype("M8[s]")),
        "array": np.dtype(("f4", (3,))),
        "M8": h5py.opaque_dtype(np.dtype("M8[D]")),
    }
    if dtype in special:
        return shape, special[dtype]
    if dtype == "nan":
        return np.full(shape, np.nan)
    if dtype == "S3":
        return np.full(shape, b"\xff\xfea")
    return np.ones(shape, dtype)
