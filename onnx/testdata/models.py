"""Makes ONNX models in a folder, and cases.json: random inputs with what ONNX Runtime's
own Python gives for them. Arguments: the folder, a seed."""

import json
import os
import sys

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, save
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression

folder, seed = sys.argv[1], int(sys.argv[2])
random = np.random.default_rng(seed)

x = random.normal(size=(200, 20)).astype(np.float32)
y = random.integers(0, 3, 200)
names = np.array(["dog", "cat", "cow"])[y]


def graph(name, nodes, inputs, outputs):
    model = helper.make_model(helper.make_graph(nodes, name, inputs, outputs), opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    save(model, os.path.join(folder, name + ".onnx"))


def tensor(name, kind, *shape):
    return helper.make_tensor_value_info(name, kind, list(shape))


def learned(name, model, **options):
    with open(os.path.join(folder, name + ".onnx"), "wb") as file:
        file.write(to_onnx(model, x[:1], options={type(model): options} if options else None).SerializeToString())


learned("logistic", LogisticRegression(max_iter=500).fit(x, y), zipmap=False)
learned("forest", RandomForestClassifier(50, max_depth=6, random_state=0).fit(x, names), zipmap=False)
learned("maps", LogisticRegression(max_iter=500).fit(x, names))
learned("linear", LinearRegression().fit(x, y))
KINDS = {
    "f4": (TensorProto.FLOAT, np.float32), "f8": (TensorProto.DOUBLE, np.float64), "i1": (TensorProto.INT8, np.int8),
    "i2": (TensorProto.INT16, np.int16), "i4": (TensorProto.INT32, np.int32), "i8": (TensorProto.INT64, np.int64),
    "u1": (TensorProto.UINT8, np.uint8), "u2": (TensorProto.UINT16, np.uint16), "u4": (TensorProto.UINT32, np.uint32),
    "u8": (TensorProto.UINT64, np.uint64), "b": (TensorProto.BOOL, np.bool_), "s": (TensorProto.STRING, np.str_),
}
graph("types", [helper.make_node("Identity", [k], [k + "_out"]) for k in KINDS],
      [tensor(k, kind, None, 2, None) for k, (kind, _) in KINDS.items()], [tensor(k + "_out", kind, None, 2, None) for k, (kind, _) in KINDS.items()])
graph("mean", [helper.make_node("ReduceMean", ["x"], ["y"], axes=[0], keepdims=1)], [tensor("x", TensorProto.FLOAT, None, 3)], [tensor("y", TensorProto.FLOAT, None, 3)])
graph("centred", [helper.make_node("ReduceMean", ["x"], ["m"], axes=[0], keepdims=1), helper.make_node("Sub", ["x", "m"], ["y"])],
      [tensor("x", TensorProto.FLOAT, None, 3)], [tensor("y", TensorProto.FLOAT, None, 3)])
graph("fixed", [helper.make_node("Add", ["a", "b"], ["y"])], [tensor("a", TensorProto.DOUBLE, 2), tensor("b", TensorProto.DOUBLE, 2)], [tensor("y", TensorProto.DOUBLE, 2)])
graph("half", [helper.make_node("Identity", ["x"], ["y"])], [tensor("x", TensorProto.FLOAT16, None)], [tensor("y", TensorProto.FLOAT16, None)])


def values(kind, shape):
    if kind == np.str_:
        return np.array([random.choice(["a", "ä", '"', "\n", ""]) for _ in range(int(np.prod(shape)))], dtype=object).reshape(shape)
    if kind == np.bool_:
        return random.integers(0, 2, shape).astype(kind)
    if np.issubdtype(kind, np.floating):
        return random.normal(size=shape).astype(kind)
    info = np.iinfo(kind)
    return random.integers(info.min, info.max, shape, dtype=kind, endpoint=True)


def plain(array):
    """What JSON has for an output; a list of maps is a table by its sorted keys."""
    if isinstance(array, list):
        return [[row[key] for key in sorted(row)] for row in array]
    return array.tolist()


cases = []
for name in ("logistic", "forest", "maps", "linear", "types", "mean", "centred", "fixed"):
    session = onnxruntime.InferenceSession(os.path.join(folder, name + ".onnx"), providers=["CPUExecutionProvider"])
    for rows in (1, 2, 7):
        inputs = {}
        for info in session.get_inputs():
            kind = KINDS[info.name][1] if name == "types" else np.float64 if name == "fixed" else np.float32
            shape = [rows if i == 0 and not isinstance(n, int) else 3 if not isinstance(n, int) else n for i, n in enumerate(info.shape)]
            inputs[info.name] = values(kind, shape)
        outputs = session.run(None, inputs)
        cases.append({"model": name, "inputs": {k: {"shape": v.shape, "data": v.tolist()} for k, v in inputs.items()},
                      "outputs": {info.name: plain(v) for info, v in zip(session.get_outputs(), outputs)}})
with open(os.path.join(folder, "cases.json"), "w") as file:
    json.dump(cases, file)
