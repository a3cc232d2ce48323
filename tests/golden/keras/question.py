"""The two experiments about `recurrent_initializer` that started the crate."""

from oracle import build, call, np, weights, write

ONES = {"class": "Ones", "config": {}}
RECURRENT = {
    "zeros": {"class": "Zeros", "config": {}},
    "glorot_normal": {"class": "GlorotNormal", "config": {"seed": 0}},
}


def cases():
    for kind in ("SimpleRNN", "LSTM"):
        for label, recurrent in RECURRENT.items():
            config = {
                "units": 1,
                "activation": "linear",
                "kernel_initializer": ONES,
                "recurrent_initializer": recurrent,
            }
            first = {
                "class": kind,
                "input_size": 20,
                "config": {**config, "return_sequences": True, "return_state": False},
            }
            layer = build(first)
            # One time step of 20 features, the first i of them 5: with one step the recurrent kernel meets no state.
            inputs = np.tril(np.full((20, 20), 5, "float32"), -1)[:, None, None, :]
            outputs = [call(layer, first, x)[0][0] for x in inputs]
            yield {
                "name": f"one_step-{kind}-{label}",
                "layer": first,
                "weights": weights(layer, first),
                "inputs": inputs,
                "outputs": np.array(outputs).ravel(),
            }
            second = {
                "class": kind,
                "input_size": 1,
                "config": {**config, "return_sequences": True, "return_state": True},
            }
            layer = build(second)
            x = np.ones((1, 4, 1), "float32")
            output, states = call(layer, second, x)
            yield {
                "name": f"four_steps-{kind}-{label}",
                "layer": second,
                "weights": weights(layer, second),
                "inputs": x[None],
                "outputs": output[0].ravel(),
                "states": np.array(states).ravel(),
            }


def main():
    write("question", list(cases()))


if __name__ == "__main__":
    main()
