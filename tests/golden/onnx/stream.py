"""A policy with its states as inputs and outputs, of those that PyTorch exported (`exported.bin`), as a file of its own,
and what ONNX Runtime makes of it step by step: `policy.onnx`, `stream.txt`, which `examples/onnx_stream.rs` prints.

    pip install -r requirements.txt; python stream.py
"""

import json
from pathlib import Path

import numpy as np
import onnxruntime

HERE = Path(__file__).parent
STEPS = 8


def main():
    cases = json.loads((HERE / "exported.json").read_text())["cases"]
    case = next(case for case in cases if case["name"] == "policy_lstm.script")
    model = (HERE / "exported.bin").read_bytes()[case["start"]:case["start"] + case["length"]]
    (HERE / "policy.onnx").write_bytes(model)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    h = c = np.zeros((1, 1, 4), np.float32)
    lines = []
    for step in range(STEPS):
        obs = np.array([[((step * 5 + at) % 7) / 4 - 0.75 for at in range(5)]], np.float32)
        actions, h, c = session.run(["actions", "h_out", "c_out"], {"obs": obs, "h_in": h, "c_in": c})
        lines.append(f"{step}: " + " ".join(f"{x:+.4f}" for x in actions[0]))
    (HERE / "stream.txt").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
