"""Has ONNX Runtime run what the test `onnx_written` has written, and compares its outputs with those of this crate. Writes
written.json, which the test compares its files with.

    pip install -r requirements.txt
    cargo test --all-features --test files onnx_written
    python tests/golden/onnx/written.py target/tmp/onnx_written
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

HERE = Path(__file__).parent
TOLERANCE = 1e-5
# Of layers in fewer bits: inputs and states are rounded here, there, or in both.
QUANTIZED = 1e-2
# What ONNX Runtime says of kernels that it hasn't got for f64.
NOT_THERE = ["NOT_IMPLEMENTED", "does not support double yet"]


def array(value, dtype=np.float64):
    return np.array([float(number) for number in value[2]], np.float64).reshape(value[1]).astype(dtype)


def run(path):
    """The largest difference, or what ONNX Runtime says that it can't do."""
    onnx.checker.check_model(onnx.load(path), full_check=True)
    case = json.loads(path.with_suffix(".json").read_text())
    try:
        outputs = outputs_of(path, case)
        if "meant" in case and not case["rounds"]:
            # Without its own rounding ONNX Runtime gives what the bytes mean.
            compared(path, outputs_of(path, case, rounds=False), case["meant"], TOLERANCE)
    except Exception as error:
        if any(words in str(error) for words in NOT_THERE):
            return "not implemented by ONNX Runtime"
        raise RuntimeError(f"{path.stem}: {error}") from error
    tolerance = QUANTIZED if "meant" in case else TOLERANCE
    return float(f"{compared(path, outputs, case['outputs'], tolerance):.1e}")


def outputs_of(path, case, rounds=True):
    """What ONNX Runtime gives. Of a MatMul with a DequantizeLinear it makes a MatMulNBits, which rounds its inputs to 8 bits,
    unless that is said to compute in f32."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    if not rounds:
        options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    inputs = session.get_inputs()
    assert [value.name for value in inputs] == [own[0] for own in case["inputs"]], "other inputs"
    feeds = {value.name: array(own, dtype(value.type)) for value, own in zip(inputs, case["inputs"])}
    # Of outputs of one name, the second has a number.
    names = [value.name for value in session.get_outputs()]
    taken = [own[0] for own in case["outputs"]]
    taken = [name + f"_{taken[:at].count(name)}" * (name in taken[:at]) for at, name in enumerate(taken)]
    assert names == taken, f"{names}, expected {taken}"
    return session.run(None, feeds)


def compared(path, outputs, expected, tolerance):
    """The largest difference."""
    worst = 0.0
    for theirs, own in zip(outputs, expected):
        ours = array(own)
        assert list(theirs.shape) == list(ours.shape), f"{path.stem}, {own[0]}: {theirs.shape}, {ours.shape} here"
        theirs = theirs.astype(np.float64)
        same = (theirs == ours) | (np.isnan(theirs) & np.isnan(ours))
        with np.errstate(invalid="ignore"):
            apart = np.where(same, 0, np.abs(theirs - ours) / np.maximum(1, np.abs(ours)))
        if not (np.max(apart, initial=0.0) <= tolerance):
            raise RuntimeError(f"{path.stem}, {own[0]}: apart by {np.max(apart)}")
        worst = max(worst, float(np.max(apart, initial=0.0)))
    return worst


def dtype(name):
    kind = name.removeprefix("tensor(").removesuffix(")")
    return np.dtype({"float": "float32", "double": "float64"}.get(kind, kind))


def main():
    files, failures = {}, []
    for path in sorted(Path(sys.argv[1]).glob("*.onnx")):
        try:
            found = run(path)
            files[path.stem] = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "difference": found}
        except Exception as error:
            failures.append(f"{path.stem}: {str(error)[:300]}")
    print("\n".join(failures))
    if failures:
        sys.exit(f"{len(failures)} of {len(failures) + len(files)} failed")
    versions = {module.__name__: module.__version__ for module in [onnx, onnxruntime, np]}
    lines = ",\n".join(f"{json.dumps(name)}:{json.dumps(file, separators=(',', ':'))}" for name, file in files.items())
    text = f'{{"versions":{json.dumps(versions, separators=(",", ":"))},"files":{{\n{lines}\n}}}}\n'
    (HERE / "written.json").write_text(text)
    numbers = [file["difference"] for file in files.values() if isinstance(file["difference"], float)]
    print(len(files), "files,", len(files) - len(numbers), "of them not implemented; apart by", max(numbers), "at most")


if __name__ == "__main__":
    main()
