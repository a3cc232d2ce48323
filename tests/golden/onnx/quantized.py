"""Models in fewer bits, as onnxruntime.quantization makes them, and some by hand of nodes that it doesn't make of these:
with what ONNX Runtime gives, whose inputs and states have 8 bits and one scale for the batch, and with the same arithmetic
in f64 that rounds no inputs (`exact`): numpy, over the dequantized weights.

Weights have 7 bits (`reduce_range`): on processors without VNNI ONNX Runtime adds products of bytes in 16 bits, which full
weights overflow; then its outputs are wrong by up to 0.27 of their range, and others than on other processors. (Weights
that are unsigned are multiplied by other instructions, and may have 8 bits.) Cases of full weights have no such outputs.

    pip install -r requirements.txt; python quantized.py
"""

import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from bundle import Bundle, numbers
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static

onnxruntime.set_default_logger_severity(4)
random = np.random.default_rng(27)
MICROSOFT = "com.microsoft"


def floats(*shape, scale=0.4):
    return random.normal(0, scale, shape).astype(np.float32)


def weights(*shape):
    """Columns of different sizes, as trained ones have: one scale for all is worse than one for each."""
    return floats(*shape) * random.uniform(0.2, 1.5, shape[:-1] + (1,)).astype(np.float32)


def sequence(*shape):
    """Steps, rows, features: slow waves of different sizes."""
    steps, rows, features = shape
    phase, speed = random.uniform(0, 6, (rows, features)), random.uniform(0.2, 0.9, (rows, features))
    size = random.uniform(0.3, 2, (rows, 1))
    return (size * np.sin(phase + speed * np.arange(steps)[:, None, None])).astype(np.float32)


# The arithmetic in f64.

FUNCTIONS = {
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "Tanh": np.tanh,
    "HardSigmoid": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
    "Softsign": lambda x: x / (1 + abs(x)),
}


def along(array, axis, rank):
    """One number, or one for each place along an axis."""
    array = np.asarray(array, np.float64)
    return array.reshape([-1 if at == axis else 1 for at in range(rank)]) if array.size > 1 else array.reshape(())


def one_direction(operator, x, w, r, b, lengths, h, c, functions, after):
    """W and R (gates * units, ..), x (steps, rows, features)."""
    units = r.shape[1]
    f, g, o = (functions + functions[-1:] * 3)[:3]
    ys = np.zeros((x.shape[0], x.shape[1], units))
    bw, br = b[: len(b) // 2], b[len(b) // 2 :]
    for step in range(x.shape[0]):
        live = (step < lengths)[:, None]
        z = x[step] @ w.T + bw
        if operator == "LSTM":
            i, output, forget, cell = np.split(z + h @ r.T + br, 4, 1)
            c_new = f(forget) * c + f(i) * g(cell)
            h_new = f(output) * o(c_new)
            c = np.where(live, c_new, c)
        elif operator == "RNN":
            h_new = f(z + h @ r.T + br)
        else:
            (xz, xr, xh), (rz, rr, rh), (bz, bb, bh) = np.split(z, 3, 1), np.split(r, 3), np.split(br, 3)
            update, reset = f(xz + h @ rz.T + bz), f(xr + h @ rr.T + bb)
            new = g(xh + reset * (h @ rh.T + bh)) if after else g(xh + (reset * h) @ rh.T + bh)
            h_new = (1 - update) * new + update * h
        h = np.where(live, h_new, h)
        ys[step] = np.where(live, h_new, 0)
    # As in ONNX Runtime: of a row without steps all is zero.
    return ys, *[np.where((lengths > 0)[:, None], state, 0) for state in (h, c)]


def recurrent(operator, attributes, x, w, r, b, lengths, h, c):
    """W and R as those of LSTM, GRU and RNN."""
    steps, rows = x.shape[:2]
    directions, units = w.shape[0], r.shape[2]
    count = {"LSTM": 4, "GRU": 3, "RNN": 1}[operator]
    names = attributes.get("activations")
    names = [name.decode() for name in names] if names else {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"]}.get(
        operator, ["Sigmoid", "Tanh", "Tanh"]
    ) * directions
    functions = [FUNCTIONS[name] for name in names]
    per = len(functions) // directions
    b = np.zeros((directions, 2 * count * units)) if b is None else b
    h, c = [np.zeros((directions, rows, units)) if state is None else state for state in (h, c)]
    lengths = np.full(rows, steps) if lengths is None else lengths
    kind = attributes.get("direction", b"forward")
    made = []
    for at in range(directions):
        backwards = kind == b"reverse" or at == 1
        order = np.array([[n - 1 - s if s < n else s for n in lengths] for s in range(steps)])
        turn = lambda array: np.take_along_axis(array, order[:, :, None], 0) if backwards else array
        own = functions[at * per : (at + 1) * per]
        ys, hs, cs = one_direction(
            operator, turn(x), w[at], r[at], b[at], lengths, h[at], c[at], own, attributes.get("linear_before_reset", 0)
        )
        made.append((turn(ys), hs, cs))
    ys, hs, cs = (np.stack(all) for all in zip(*made))
    return [ys.transpose(1, 0, 2, 3), hs, cs]


def exact(model, inputs, passed):
    """What a graph gives in f64, where no inputs of products are rounded, nor those values that are passed over."""
    values = {init.name: numpy_helper.to_array(init) for init in model.graph.initializer}
    values |= inputs
    wide = lambda value: None if value is None else (np.asarray(value, np.float64) if value.dtype.kind == "f" else value)
    for node in model.graph.node:
        given = [wide(values[name]) if name else None for name in node.input]
        given += [None] * 12
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        match node.op_type:
            case "DynamicQuantizeLinear":
                made = [given[0], np.float64(1), np.float64(0)]
            case "MatMulInteger":
                made = [given[0] @ (given[1].astype(np.float64) - (0 if given[3] is None else given[3]))]
            case "MatMulIntegerToFloat":
                weight = (given[1].astype(np.float64) - given[5]) * given[3]
                made = [given[0] @ weight + (0 if given[6] is None else given[6])]
            case "DynamicQuantizeMatMul":
                weight = (given[1].astype(np.float64) - given[3]) * given[2]
                made = [given[0] @ weight + (0 if given[4] is None else given[4])]
            case "DynamicQuantizeLSTM":
                w, r = [
                    (array.astype(np.float64) - side(zero)) * side(scale)
                    for array, scale, zero in [(given[1], given[8], given[9]), (given[2], given[10], given[11])]
                ]
                turned = [array.transpose(0, 2, 1) for array in (w, r)]
                made = recurrent("LSTM", attributes, given[0], *turned, *given[3:7])
            case "LSTM" | "GRU" | "RNN":
                made = recurrent(node.op_type, attributes, *given[:7])
            case "QuantizeLinear":
                kind = np.iinfo(given[2].dtype)
                scale, zero = [along(v, attributes.get("axis", 1), given[0].ndim) for v in given[1:3]]
                rounded = np.clip(np.round(given[0] / scale) + zero, kind.min, kind.max)
                made = [given[0] / scale + zero if node.input[0] in passed else rounded]
            case "DequantizeLinear":
                scale, zero = [along(v, attributes.get("axis", 1), given[0].ndim) for v in given[1:3]]
                made = [(given[0].astype(np.float64) - zero) * scale]
            case "Cast":
                made = [given[0]]
            case "Mul":
                made = [given[0] * given[1]]
            case "Add":
                made = [given[0] + given[1]]
            case "MatMul":
                made = [given[0] @ given[1]]
            case "Gemm":
                made = [given[0] @ (given[1].T if attributes.get("transB") else given[1]) + given[2]]
            case "Gather":
                made = [given[0][given[1]]]
            case "Transpose":
                made = [given[0].transpose(attributes["perm"])]
            case "Reshape":
                made = [given[0].reshape([n if n else given[0].shape[at] for at, n in enumerate(given[1])])]
            case "ReduceMean":
                made = [given[0].mean(tuple(attributes["axes"]))]
            case other:
                raise ValueError(other)
        values |= dict(zip(node.output, made))
    return {output.name: values[output.name] for output in model.graph.output}


def side(array):
    return array.reshape(len(array), 1, -1).astype(np.float64)


# Models.


def model(nodes, inputs, outputs, constants, opset=17):
    value = lambda name, kind, shape: helper.make_tensor_value_info(name, kind, shape)
    graph = helper.make_graph(
        nodes,
        "graph",
        [value(name, whole or TensorProto.FLOAT, shape) for name, shape, whole in inputs],
        [value(name, TensorProto.FLOAT, shape) for name, shape in outputs],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    domains = [helper.make_opsetid("", opset), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(graph, opset_imports=domains, ir_version=8)


def tagger(features, units, directions=1, words=None):
    """[Embedding,] LSTM, a dense layer for each step; their mean, another dense layer."""
    constants = {
        "W": weights(directions, 4 * units, features),
        "R": weights(directions, 4 * units, units),
        "B": floats(directions, 8 * units),
        "shape": np.array([0, 0, -1]),
        "K": weights(3, units * directions).T.copy(),
        "bias": floats(3),
        "G": weights(4, 3),
        "more": floats(4),
    }
    node, nodes = helper.make_node, []
    if words:
        constants["E"] = weights(words, features)
        nodes += [node("Gather", ["E", "ids"], ["e"], "embed"), node("Transpose", ["e"], ["x"], "turn", perm=[1, 0, 2])]
    nodes += [
        node("LSTM", ["x", "W", "R", "B"], ["Y"], "lstm", hidden_size=units, direction="bidirectional" if directions == 2 else "forward"),
        node("Transpose", ["Y"], ["Yt"], "back", perm=[2, 0, 1, 3]),
        node("Reshape", ["Yt", "shape"], ["Z"], "flat"),
        node("MatMul", ["Z", "K"], ["M"], "step"),
        node("Add", ["M", "bias"], ["steps"], "plus"),
        node("ReduceMean", ["steps"], ["mean"], "all", axes=[1], keepdims=0),
        node("Gemm", ["mean", "G", "more"], ["y"], "head", transB=1),
    ]
    given = ("ids", ["batch", "time"], TensorProto.INT64) if words else ("x", ["time", "batch", features], None)
    return model(nodes, [given], [("y", ["batch", 4]), ("steps", ["batch", "time", 3])], constants)


def states(directions, direction, activations=None):
    """All that an LSTM node may have, but for what has no form in fewer bits."""
    units, features = 6, 5
    constants = {
        "W": weights(directions, 4 * units, features),
        "R": weights(directions, 4 * units, units),
        "B": floats(directions, 8 * units),
    }
    more = {"activations": activations * directions} if activations else {}
    inputs = ["x", "W", "R", "B", "lens", "h", "c"]
    node = helper.make_node("LSTM", inputs, ["y", "hn", "cn"], "lstm", hidden_size=units, direction=direction, **more)
    shape = [directions, "batch", units]
    outputs = [("y", ["time", directions, "batch", units]), ("hn", shape), ("cn", shape)]
    inputs = [("x", ["time", "batch", features], None), ("h", shape, None), ("c", shape, None)]
    return model([node], inputs + [("lens", ["batch"], TensorProto.INT32)], outputs, constants)


def quantized(made, **options):
    """By quantize_dynamic."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / name) for name in ("a.onnx", "b.onnx")]
        onnx.save(made, paths[0])
        quantize_dynamic(*paths, **{"reduce_range": True} | options)
        return onnx.load(paths[1])


class Reader(CalibrationDataReader):
    def __init__(self, given):
        self.given = iter(given)

    def get_next(self):
        return next(self.given, None)


def calibrated(made, given, **options):
    """By quantize_static."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / name) for name in ("a.onnx", "b.onnx")]
        onnx.save(made, paths[0])
        quantize_static(*paths, Reader(given), reduce_range=True, **options)
        return onnx.load(paths[1])


def whole(array, axis=None, kind=np.int8, zero=None, most=127):
    """Whole numbers, scales and zero points of an array."""
    axes = tuple(at for at in range(array.ndim) if at != axis) if axis is not None else None
    scale = (abs(array).max(axes) / most).astype(np.float32)
    zeros = np.full(scale.shape, 0 if zero is None else zero, kind)
    spread = [along(v, axis, array.ndim) for v in (scale, zeros)]
    return (np.round(array / spread[0]) + spread[1]).astype(kind), np.asarray(scale), np.asarray(zeros)


def by_hand():
    """Nodes that ONNX Runtime makes when it optimizes, and weights in front of nodes of floats."""
    node = helper.make_node
    a, a_scale, a_zero = whole(weights(6, 5).T, 1, np.uint8, 128)
    b, b_scale, b_zero = whole(weights(4, 6).T, 1, most=63)
    constants = {"a": a, "a_scale": a_scale, "a_zero": a_zero, "bias": floats(6)}
    constants |= {"b": b, "b_scale": b_scale, "b_zero": b_zero, "more": floats(4)}
    nodes = [
        node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"], "round"),
        node("MatMulIntegerToFloat", ["q", "a", "s", "a_scale", "z", "a_zero", "bias"], ["m"], "one", domain=MICROSOFT),
        node("DynamicQuantizeMatMul", ["m", "b", "b_scale", "b_zero", "more"], ["y"], "two", domain=MICROSOFT),
    ]
    yield "fused", model(nodes, [("x", ["batch", "time", 5], None)], [("y", ["batch", "time", 4])], constants)
    units, features = 6, 5
    for operator, count, more in [
        ("GRU", 3, {"linear_before_reset": 1}),
        ("GRU", 3, {"linear_before_reset": 0, "direction": "reverse"}),
        ("RNN", 1, {"direction": "bidirectional"}),
        ("LSTM", 4, {}),
    ]:
        directions = 2 if more.get("direction") == "bidirectional" else 1
        constants = {"B": floats(directions, 2 * count * units)}
        nodes = []
        for name, width in [("W", features), ("R", units)]:
            # One scale for each row of both directions.
            numbers, scale, zero = whole(weights(directions, count * units, width), 1)
            constants |= {f"{name}_whole": numbers, f"{name}_scale": scale, f"{name}_zero": zero}
            parts = [f"{name}_whole", f"{name}_scale", f"{name}_zero"]
            nodes.append(node("DequantizeLinear", parts, [name], f"of_{name}", axis=1))
        nodes.append(node(operator, ["x", "W", "R", "B"], ["y", "h"], "cell", hidden_size=units, **more))
        name = f"weights_{operator}_{more.get('direction', 'forward')}".lower()
        outputs = [("y", ["time", directions, "batch", units]), ("h", [directions, "batch", units])]
        yield name, model(nodes, [("x", ["time", "batch", features], None)], outputs, constants)


def refused():
    """Names, models, and what is said of them."""
    node = helper.make_node
    units, features = 4, 3
    shape = {"W": (features, 4 * units), "R": (units, 4 * units)}

    def lstm(constants=(), inputs=(), **attributes):
        parts = {"P": np.zeros((1, 3 * units), np.float32)}
        for name, sizes in shape.items():
            numbers, scale, zero = whole(floats(1, *sizes), 0)
            parts |= {f"{name}_whole": numbers, f"{name}_scale": scale, f"{name}_zero": zero}
        parts |= dict(constants)
        names = ["x", "W_whole", "R_whole", "", "", "", "", ""]
        names += [f"{name}_{part}" for name in "WR" for part in ("scale", "zero")]
        for at, name in dict(inputs).items():
            names[at] = name
        made = node("DynamicQuantizeLSTM", names, ["y"], "here", domain=MICROSOFT, hidden_size=units, **attributes)
        return model([made], [("x", ["time", "batch", features], None)], [("y", None)], parts)

    yield "peephole", lstm(inputs={7: "P"}), "an LSTM with peephole has no quantized form: load the model"
    yield "clip", lstm(clip=0.5), "an LSTM with clip has no quantized form"
    yield "input_forget", lstm(input_forget=1), "an LSTM with input_forget has no quantized form"
    yield "layout", lstm(layout=1), 'its attribute "layout" isn\'t known'
    yield "scales", lstm({"W_scale": floats(3)}), "its scales and zero points must be (directions), or (directions, 4 * units)"
    yield "no_scale", lstm(inputs={8: ""}), "it has no input number 8"
    yield "shape", lstm({"R_whole": np.zeros((1, 5, 16), np.int8)}), "its hidden_size is another one than that of R, 5"
    yield "flat", lstm({"W_whole": np.zeros(48, np.int8)}), "its W and R must have three dimensions"
    yield "kind", lstm({"W_whole": floats(1, 3, 16)}), "its W and R must be whole numbers"

    def product(nodes, **constants):
        parts = {"a": np.ones((3, 2), np.int8), "s": np.float32(0.5), "z": np.int8(0)} | constants
        parts = {name: np.asarray(value) for name, value in parts.items()}
        return model(nodes, [("x", ["batch", 3], None)], [("y", None)], parts)

    rounds = node("DynamicQuantizeLinear", ["x"], ["q", "qs", "qz"], "round")
    inner = node("MatMulInteger", ["q", "a", "qz"], ["m"], "here")
    yield "alone", product([rounds, node("Cast", ["qz"], ["y"], "here", to=1)]), "is quantized: it is read by MatMulInteger"
    yield "sums", product([rounds, inner, node("Cast", ["m"], ["y"], "cast", to=1)]), "it is quantized, which is read within"
    yield "unscaled", product([rounds, inner, node("Cast", ["m"], ["c"], "cast", to=1), node("Mul", ["c", "s"], ["y"], "here")]), "the sums of MatMulInteger, cast, times the scale"
    yield "no_zero", product([rounds, node("MatMulInteger", ["q", "a"], ["y"], "here")]), "its zero point included"
    linear = lambda name, inputs, output, **more: node(name, inputs, [output], "here", **more)
    dequantize = linear("DequantizeLinear", ["a", "many", "z"], "y")
    yield "many", product([dequantize], many=floats(3)), "one number, or one along its axis, found [3]"
    yield "pair", product([node("QuantizeLinear", ["x", "s", "z"], ["q"], "round"), linear("DequantizeLinear", ["q", "other", "z"], "y")], other=np.float32(0.25)), "must be those of the QuantizeLinear before it"
    yield "below", product([node("QuantizeLinear", ["x", "other", "z"], ["y"], "here")], other=np.float32(-1)), "its scales must be above 0"
    whole_table = node("Gather", ["a", "ids"], ["y"], "here")
    made = model([whole_table], [("ids", ["batch", "time"], TensorProto.INT64)], [("y", None)], {"a": np.ones((3, 2), np.int8)})
    yield "table", made, "where a DequantizeLinear of one scale makes floats of them"
    made = quantized(model(
        [node("Conv", ["x", "a"], ["y"], "here")], [("x", ["batch", 3, 9], None)], [("y", ["batch", 2, 7])], {"a": floats(2, 3, 3)}
    ))
    yield "conv", made, "quantize with op_types_to_quantize="


def main():
    versions = {module.__name__: module.__version__ for module in [onnx, onnxruntime, np]}
    bundle = Bundle("quantized", versions)

    def add(name, made, given, passed=(), runs=True):
        session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
        outputs = dict(zip([value.name for value in made.graph.output], session.run(None, given)))
        expected = exact(made, given, passed)
        outputs = outputs if runs else {}
        worst = max(abs(outputs[key] - expected[key]).max() / np.ptp(expected[key]) for key in outputs) if runs else 0.0
        print(f"{name}: {worst:.1e} of the range")
        more = {key: numbers(np.round(value, 9)) for key, value in expected.items()}
        bundle.add(name, made.SerializeToString(), given, outputs, exact=more, apart=float(f"{worst:.1e}"))

    ids = np.array([[3, 1, 4, 1, 5, 9, 2], [6, 5, 3, 5, 8, 9, 7], [9, 3, 2, 3, 8, 4, 6]])
    lens = np.array([7, 4, 0], np.int32)
    for per_channel in (False, True):
        kind = "channel" if per_channel else "tensor"
        for name, weight in [("", QuantType.QInt8), (".unsigned", QuantType.QUInt8)]:
            options = {"per_channel": per_channel, "weight_type": weight}
            add(f"tagger.{kind}{name}", quantized(tagger(5, 6), **options), {"x": sequence(7, 3, 5)})
        add(f"words.{kind}", quantized(tagger(5, 6, 2, 11), per_channel=per_channel), {"ids": ids})
        for directions, direction in [(1, "reverse"), (2, "bidirectional")]:
            made = quantized(states(directions, direction), per_channel=per_channel)
            given = {"x": sequence(7, 3, 5), "h": floats(directions, 3, 6), "c": floats(directions, 3, 6), "lens": lens}
            add(f"states.{direction}.{kind}", made, given)
    functions = ["HardSigmoid", "Softsign", "Softsign"]
    made = quantized(states(1, "forward", functions), per_channel=True)
    add("activations", made, {"x": sequence(7, 3, 5), "h": floats(1, 3, 6), "c": floats(1, 3, 6), "lens": lens})
    add("large", quantized(tagger(20, 24), per_channel=True), {"x": sequence(20, 4, 20)})
    add("full", quantized(tagger(5, 6, 2), per_channel=True, reduce_range=False), {"x": sequence(7, 3, 5)}, runs=False)

    passed = {"Z", "M", "mean", "y_QuantizeLinear_Input"}
    for kind, activations in [("int8", QuantType.QInt8), ("uint8", QuantType.QUInt8)]:
        for per_channel in (False, True):
            options = {"quant_format": QuantFormat.QDQ, "activation_type": activations, "weight_type": QuantType.QInt8}
            options["per_channel"] = per_channel
            name = f"static.{kind}.{'channel' if per_channel else 'tensor'}"
            given = {"x": sequence(7, 3, 5)}
            made = calibrated(tagger(5, 6), [given, {"x": sequence(7, 3, 5)}], **options)
            add(name, made, given, passed)
            words = tagger(5, 6, 1, 11)
            add(f"{name}.words", calibrated(words, [{"ids": ids}], **options), {"ids": ids}, passed)
    for name, made in by_hand():
        x = sequence(7, 3, 5)
        add(name, made, {"x": x.transpose(1, 0, 2).copy() if name == "fused" else x})
    # Whole numbers that are more than 127 from their zero point.
    beyond = quantized(tagger(5, 6), weight_type=QuantType.QUInt8, reduce_range=False)
    add("beyond.unsigned", beyond, {"x": sequence(7, 3, 5)})
    lopsided = {"extra_options": {"WeightSymmetric": False}}
    beyond = quantized(tagger(5, 6), reduce_range=False, **lopsided)
    add("beyond.signed", beyond, {"x": sequence(7, 3, 5)}, runs=False)
    for name, made, says in refused():
        bundle.add(f"refused.{name}", made.SerializeToString(), {}, {}, says=says)
    bundle.write()


if __name__ == "__main__":
    main()
