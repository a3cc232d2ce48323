"""Writes the forms in which files of models come that Keras itself doesn't write, but zip, h5py and users do.

Run with the versions of requirements.txt: `python tests/golden/keras_models/generate_forms.py`. In `forms/`:
`deep.keras` and `wide.keras` are as Keras writes them, `deep.*.h5` and `wide.*.h5` hold their weights in other forms of
HDF5, `*.zip.keras` are other containers. `forms.json` has inputs, and what Keras computes after it has loaded each form.
"""

import io
import json
import os
import pathlib
import tempfile
import zipfile

import h5py
import keras
import numpy as np
from generate import HERE, Rng, array
from keras import layers as L

FOLDER = HERE / "forms"
INFO = (2026, 1, 1, 0, 0, 0)


def randomize(model, r):
    """Multiples of 1/64, so that there is something to compress."""
    model.set_weights([np.round(r.floats(*w.shape) * 45) / 64 for w in model.get_weights()])


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


class Pipe(io.RawIOBase):
    """Where nobody can go back: sizes and checksums come behind each member."""

    def __init__(self):
        self.bytes = b""

    def writable(self):
        return True

    def write(self, data):
        self.bytes += bytes(data)
        return len(data)


def container(parts, method, pipe=False, before=b""):
    out = Pipe() if pipe else io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in parts.items():
            info = zipfile.ZipInfo(name, INFO)
            info.compress_type = method
            if pipe:
                with archive.open(info, "w") as member:
                    member.write(data)
            else:
                archive.writestr(info, data)
    return before + (out.bytes if pipe else out.getvalue())


def copy(source, target, change, **how):
    """The groups and datasets of a file, written anew; `change` says how each dataset is stored."""
    with h5py.File(target, "w", **how) as new, h5py.File(io.BytesIO(source)) as old:

        def visit(name, item):
            if isinstance(item, h5py.Dataset):
                data, options = change(np.array(item))
                options = {key: value() if key == "dcpl" else value for key, value in options.items()}
                new.create_dataset(name, data=data, **options)
            else:
                new.require_group(name)

        old.visititems(visit)


def chunks(a):
    """Chunks that don't divide the shape."""
    return tuple(min(size, 3 + 8 * axis) for axis, size in enumerate(a.shape))


def chunked(**options):
    return lambda a: (a, {"chunks": chunks(a), **options})


def limited(chunks, **options):
    """Of datasets that may grow, up to a limit."""
    return lambda a: (a, {"chunks": chunks(a), "maxshape": tuple(4 * size - 1 for size in a.shape), **options})


def ones(a):
    return (1,) * a.ndim


def early():
    """All chunks have their place from the start, one behind the other."""
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    return plist


def as_type(dtype, scale=1):
    return lambda a: ((a * scale).astype(dtype), {})


FORMS = {
    "gzip": (chunked(compression="gzip", compression_opts=9), {}),
    "gzip_shuffle_fletcher32": (chunked(compression="gzip", shuffle=True, fletcher32=True), {}),
    "one_chunk": (lambda a: (a, {"chunks": a.shape, "compression": "gzip", "shuffle": True}), {}),
    "chunked": (chunked(), {}),
    "lzf": (chunked(compression="lzf"), {}),
    "growing": (lambda a: (a, {"maxshape": (None,) * a.ndim, "chunks": chunks(a)}), {}),
    "user_block": (lambda a: (a, {}), {"userblock_size": 1024}),
    "latest": (lambda a: (a, {}), {"libver": "latest"}),
    "latest_gzip": (chunked(compression="gzip", shuffle=True), {"libver": "latest"}),
    "latest_one_chunk": (lambda a: (a, {"chunks": a.shape, "compression": "gzip"}), {"libver": "latest"}),
    "latest_chunked": (chunked(), {"libver": "latest"}),
    "latest_many_chunks": (lambda a: (a, {"chunks": (1,) * a.ndim, "fletcher32": True}), {"libver": "latest"}),
    "latest_limited": (limited(chunks), {"libver": "latest"}),
    "latest_limited_many_chunks": (limited(ones, compression="gzip"), {"libver": "latest"}),
    "latest_early": (limited(chunks, dcpl=early), {"libver": "latest"}),
    "float64": (as_type("float64", 1.1), {}),
    "float16": (as_type("float16"), {}),
    "big_endian": (as_type(">f4"), {}),
    "big_endian_float64": (as_type(">f8", 1.1), {}),
    "int8": (as_type("int8", 3), {}),
    "uint16": (lambda a: (np.abs(a * 3).astype("uint16"), {}), {}),
    "int64": (as_type("int64", 3), {}),
    "bool": (lambda a: (a > 0, {}), {}),
}


def deep():
    return keras.Sequential([keras.Input((None, 3), name="x"), L.LSTM(8, return_sequences=True), L.GRU(3), L.Dense(2)], name="deep")


def wide():
    """More layers than fit into the head of a group of the newest format."""
    x = y = keras.Input((None, 2), name="x")
    for i in range(10):
        y = L.SimpleRNN(2, return_sequences=True, name=f"layer_{i}")(y)
    return keras.Model(x, y, name="wide")


def main():
    FOLDER.mkdir(exist_ok=True)
    cases = []
    for build in (deep, wide):
        name = build.__name__
        r = Rng(name)
        model = build()
        randomize(model, r)
        x = r.floats(2, 5, model.input_shape[-1])
        model.save(FOLDER / f"{name}.keras")
        parts = members(FOLDER / f"{name}.keras")
        for form, (change, how) in FORMS.items():
            if name == "wide" and form != "latest":
                continue
            path = FOLDER / f"{name}.{form}.h5"
            copy(parts["model.weights.h5"], path, change, **how)
            with tempfile.TemporaryDirectory() as folder:
                known = pathlib.Path(folder) / "model.weights.h5"
                known.write_bytes(path.read_bytes())
                model.load_weights(known)
            cases.append({"name": path.name, "model": name, "inputs": [array(x)], "outputs": [array(model.predict(x, verbose=0))]})
        if name == "deep":
            zips = {
                "deflated": container(parts, zipfile.ZIP_DEFLATED),
                "deflated_pipe": container(parts, zipfile.ZIP_DEFLATED, pipe=True),
                "behind_other_bytes": container(parts, zipfile.ZIP_STORED, before=b"#!/bin/sh\nexit 1\n"),
                "deflated_behind_other_bytes": container(parts, zipfile.ZIP_DEFLATED, before=b"\0" * 700),
            }
            for form, data in zips.items():
                path = FOLDER / f"{name}.{form}.zip.keras"
                path.write_bytes(data)
                again = keras.models.load_model(path)
                cases.append({"name": path.name, "model": name, "inputs": [array(x)], "outputs": [array(again.predict(x, verbose=0))]})
            (FOLDER / f"{name}.lzma.zip.keras").write_bytes(container(parts, zipfile.ZIP_LZMA))
    # What Keras 2.13 wrote on Windows: its paths are names with backslashes.
    parts = members(HERE / "versions" / "nested_2.13.1.keras")
    windows = io.BytesIO()
    with h5py.File(windows, "w") as new, h5py.File(io.BytesIO(parts["model.weights.h5"])) as old:

        def visit(name, item):
            if isinstance(item, h5py.Dataset):
                path, number = name.split("/vars/")
                new.require_group(path.replace("/", "\\")).require_group("vars")[number] = np.array(item)

        old.visititems(visit)
    parts["model.weights.h5"] = windows.getvalue()
    (FOLDER / "windows.keras").write_bytes(container(parts, zipfile.ZIP_DEFLATED))
    # A group whose names fill several blocks of a heap, and several nodes of a tree.
    with h5py.File(FOLDER / "many.latest.h5", "w", libver="latest") as file:
        group = file.create_group("many")
        for i in range(150):
            group[f"a name of some length, number {i}"] = np.float32(i)
        for i in range(12):
            group.attrs[f"attribute {i}"] = f"value {i}"
    # Datasets of which nothing was written, or a part.
    for form, how in {"earliest": {}, "latest": {"libver": "latest"}}.items():
        with h5py.File(FOLDER / f"unwritten.{form}.h5", "w", **how) as file:
            file.create_dataset("whole", (3, 5), "f4")
            file.create_dataset("one_chunk", (3, 5), "f4", chunks=(3, 5))
            file.create_dataset("one_chunk_filtered", (3, 5), "f4", chunks=(3, 5), compression="gzip")
            file.create_dataset("all_chunks", (3, 5), "f4", chunks=(1, 5), maxshape=(7, 5))
            file.create_dataset("some_chunks", (3, 5), "f4", chunks=(1, 5))[1] = 1
            file.create_dataset("some_filtered", (3, 5), "f4", chunks=(1, 5), compression="gzip")[1] = 1
            file.create_dataset("some_pages", (60, 60), "f4", chunks=(1, 1), maxshape=(70, 70))[:3] = 1
    text = ",\n".join(json.dumps(case) for case in cases)
    (HERE / "forms.json").write_text(f'{{"keras": "{keras.__version__}", "cases": [\n{text}\n]}}\n')


if __name__ == "__main__":
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    main()
