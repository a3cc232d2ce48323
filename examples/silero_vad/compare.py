"""Compares the example with ONNX Runtime, on a minute of sound: `compare.py PROGRAM [FOLDER]`.

Needs numpy, onnx, onnxruntime, safetensors and silero-vad, of which only the files are used (`pip install --no-deps
silero-vad`). The sound is made: tones, noise, clicks, silence, and speech where there is `espeak-ng`.

The package (6.2.3) has a safetensors file, too, but of another training than its ONNX files: so the tensors that are
compared are taken out of an ONNX file, under the names of the other.
"""

import importlib.util
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import wave

import numpy as np
import onnx
import onnxruntime
from safetensors.numpy import save_file

RATE, FRAME, CONTEXT = 16_000, 512, 64
TEXT = "The state starts at zero. Nothing was wrong: the input is one time step. Give it a sequence, and they differ. "


def made():
    r = np.random.default_rng(7)
    t = np.arange(10 * RATE) / RATE
    parts = [
        0.5 * np.sin(2 * np.pi * t * (200 + 300 * t)),  # rises
        0.2 * r.standard_normal(len(t)),  # noise
        np.where(r.random(len(t)) < 1e-3, 0.8, 0.0),  # clicks
        sum(0.2 / n * np.sin(2 * np.pi * 120 * n * t) for n in range(1, 9)) * (0.5 + 0.5 * np.sin(2 * np.pi * 4 * t)),  # hums
        np.zeros(len(t)),
        0.3 * np.sign(np.sin(2 * np.pi * 150 * t)) * (r.standard_normal(len(t)) > 0),  # rasps
    ]
    return np.concatenate(parts)


def spoken(folder):
    if not shutil.which("espeak-ng"):
        print("no espeak-ng: without speech")
        return np.zeros(0)
    path = folder / "speech.wav"
    subprocess.run(["espeak-ng", "-s", "150", "-w", path, TEXT * 3], check=True)
    with wave.open(str(path)) as file:
        rate, bytes_ = file.getframerate(), file.readframes(file.getnframes())
    samples = np.frombuffer(bytes_, "<i2") / 32768
    at = np.arange(int(len(samples) * RATE / rate)) * rate / RATE
    return np.interp(at, np.arange(len(samples)), samples)


def weights(model):
    """The tensors of the ONNX file by the names of the package's safetensors file."""
    names = {"stft.forward_basis_buffer": "stft_conv.weight", "decoder.decoder.2.weight": "final_conv.weight"}
    names |= {"decoder.decoder.2.bias": "final_conv.bias"}
    names |= {f"encoder.{i}.reparam_conv.{kind}": f"conv{i + 1}.{kind}" for i in range(4) for kind in ("weight", "bias")}
    names |= {f"decoder.rnn.{name}": f"lstm_cell.{name}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
    tensors = onnx.load(model).graph.initializer
    return {names[tensor.name.removeprefix("model.")]: onnx.numpy_helper.to_array(tensor) for tensor in tensors}


def probabilities(model, sound):
    """What ONNX Runtime computes on one thread, frame by frame, and the median of its times."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    state, context = np.zeros((2, 1, 128), "float32"), np.zeros(CONTEXT, "float32")
    found, times = [], []
    for at in range(0, len(sound) - FRAME + 1, FRAME):
        begun = time.perf_counter()
        frame = np.concatenate([context, sound[at : at + FRAME]])
        inputs = {"input": frame[None], "state": state, "sr": np.array(RATE, "int64")}
        output, state = session.run(None, inputs)
        context = frame[-CONTEXT:]
        times.append(time.perf_counter() - begun)
        found.append(output[0, 0])
    return np.array(found, "<f4"), np.median(times)


def main():
    program = sys.argv[1]
    data = pathlib.Path(importlib.util.find_spec("silero_vad").submodule_search_locations[0]) / "data"
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else folder)
        sound = np.concatenate([made(), spoken(folder)]).astype("<f4")
        model = data / "silero_vad_16k_op15.onnx"
        expected, median = probabilities(model, sound)
        save_file(weights(model), folder / "model.safetensors")
        sound.tofile(folder / "sound.f32")
        expected.tofile(folder / "expected.f32")
        print(f"ONNX Runtime {onnxruntime.__version__}: {len(expected)} frames, {median * 1e6:.1f} us a frame (median, one thread)")
        files = [folder / name for name in ("model.safetensors", "sound.f32", "expected.f32")]
        return subprocess.run([program, *files]).returncode


if __name__ == "__main__":
    sys.exit(main())
