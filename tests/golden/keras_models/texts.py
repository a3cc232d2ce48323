"""Models of texts, and what Keras computes with the ids that their first layers make.

`texts.py` writes texts/ and texts.json: the layers behind which each begins, their vocabularies, the ids, the outputs.
Versions: requirements.txt.
"""

import convolutions
from convolutions import CASES
from random_graphs import HERE, L, array, dump, keras, np, randomize, tf

CASES.clear()
TEXTS = ["The cat sat.", "the dog, the cat", "a bird", "The dog sat on a cat!"]


def case(function):
    CASES[function.__name__] = function
    return function


@case
def sequential(r):
    """Words of a text, as Keras's guide has it; the vocabulary stands beside the weights."""
    words = L.TextVectorization(output_sequence_length=5)
    words.adapt(TEXTS)
    model = keras.Sequential([
        keras.Input((1,), dtype="string"), words, L.Embedding(12, 3, mask_zero=True), L.Bidirectional(L.LSTM(2)), L.Dense(1)])
    return model, [words], [tf.constant([[text] for text in TEXTS])]


@case
def functional(r):
    """Of any length, beside numbers; a list of words in the options."""
    x, text = keras.Input((2,)), keras.Input((1,), dtype="string")
    words = L.TextVectorization(vocabulary=["cat", "dog", "the"], standardize="lower", max_tokens=9)
    y = L.GRU(3)(L.Embedding(9, 4)(words(text)))
    return keras.Model([x, text], L.Concatenate()([L.Dense(2)(x), y])), [words], [
        tf.constant(r.floats(4, 2)), tf.constant([[text] for text in TEXTS])]


@case
def tokens(r):
    """Two lookups of one input, one of them as flags; another of its own."""
    names, kind = keras.Input((3,), dtype="string"), keras.Input((1,), dtype="string")
    one = L.StringLookup(vocabulary=["a", "b", "c"], mask_token="", num_oov_indices=1, name="ids")
    two = L.StringLookup(vocabulary=["b", "c"], output_mode="multi_hot", name="flags")
    other = L.StringLookup(name="kinds")
    other.adapt(np.array([["x"], ["y"], ["x"]]))
    y = L.LSTM(2)(L.Embedding(6, 3, mask_zero=True)(one(names)))
    z = L.Flatten()(L.Embedding(4, 2)(other(kind)))
    return keras.Model([names, kind], L.Dense(2)(L.Concatenate()([y, L.Dense(3)(two(names)), z]))), [one, two, other], [
        tf.constant([["a", "z", ""], ["c", "c", "b"]]), tf.constant([["y"], ["q"]])]


def write(name, folder):
    keras.backend.clear_session()
    from masked_graphs import Numbers

    model, layers, inputs = CASES[name](Numbers(name))
    randomize(model, len(name))
    outputs = [model(inputs if len(inputs) > 1 else inputs[0])]
    model.save(str(folder / f"{name}.keras"))
    # What the model reads behind these layers, in its order.
    given = []
    for spec, value in zip(model.inputs, inputs):
        if spec.dtype != "string":
            given.append(value)
        else:
            given += [layer(value) for layer in layers if any(t is spec for t in tf.nest.flatten(layer.input))]
    calls = [{"inputs": [array(np.asarray(x)) for x in given], "outputs": [array(y) for y in outputs]}]
    vocabularies = [{"layer": layer.name, "tokens": [str(token) for token in layer.get_vocabulary()]} for layer in layers]
    return {"name": name, "calls": calls, "vocabularies": vocabularies}


def main():
    folder = HERE / "texts"
    folder.mkdir(exist_ok=True)
    dump(HERE / "texts.json", [write(name, folder) for name in CASES])


if __name__ == "__main__":
    main()
