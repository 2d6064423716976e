"""A tiny ONNX model with the interface of the pretrained network, and what it says by NumPy."""

import numpy as np

from helpers import audio

DIMENSIONS = ("arousal", "dominance", "valence")


def weights(states):
    """Of two facts about a waveform in each hidden state [2, states]."""
    return np.random.default_rng(0).normal(size=(2, states)).astype(np.float32)


def expected(y, gain=1.0):
    """Hidden states, and arousal, dominance and valence [1024 + 3]."""
    y = y.astype(float)
    facts = np.array([y.std(), gain * np.abs(np.diff(y)).mean()])  # loudness and brightness
    return np.concatenate([facts @ weights(1024), [facts[0], 0.5, facts[1]]])


def of_clips(paths, **options):
    return np.stack([expected(audio.read(path, 16000)[0], **options) for path in paths])


def write_model(folder, *, gain=1.0, labels=DIMENSIONS, states=1024):
    """Write model.onnx and model.yaml as audonnx does; the folder."""
    import audonnx
    from onnx import TensorProto, checker, helper, numpy_helper

    constants = {
        "two": np.array(2, np.float32),
        "gain": np.array(gain, np.float32),
        "half": np.full((1, 1), 0.5, np.float32),
        "one": np.array([1]),
        "minus_one": np.array([-1]),
        "zero": np.array([0]),
        "end": np.array([2**60]),
        "weights": weights(states),
    }
    steps = [
        ("ReduceMean", ["signal"], "mean"),
        ("Sub", ["signal", "mean"], "centred"),
        ("Pow", ["centred", "two"], "squares"),
        ("ReduceMean", ["squares"], "variance"),
        ("Sqrt", ["variance"], "arousal"),
        ("Slice", ["signal", "one", "end", "one"], "later"),
        ("Slice", ["signal", "zero", "minus_one", "one"], "earlier"),
        ("Sub", ["later", "earlier"], "steps"),
        ("Abs", ["steps"], "sizes"),
        ("ReduceMean", ["sizes"], "size"),
        ("Mul", ["size", "gain"], "valence"),
        ("Identity", ["half"], "dominance"),
        ("Concat", ["arousal", "valence"], "facts"),
        ("MatMul", ["facts", "weights"], "hidden_states"),
        ("Concat", list(labels), "logits"),
    ]
    options = {"ReduceMean": {"axes": [1], "keepdims": 1}, "Concat": {"axis": 1}}
    nodes = [helper.make_node(op, given, [out], **options.get(op, {})) for op, given, out in steps]
    values = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "tiny",
        [values("signal", TensorProto.FLOAT, [1, "time"])],
        [
            values("hidden_states", TensorProto.FLOAT, [1, states]),
            values("logits", TensorProto.FLOAT, [1, len(labels)]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=7)
    checker.check_model(model)
    folder.mkdir(parents=True, exist_ok=True)
    labels = {"logits": list(labels)}
    audonnx.Model(model, labels=labels).to_yaml(str(folder / "model.yaml"))
    return folder
