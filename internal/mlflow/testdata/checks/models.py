"""Logged models, and what the flavors of MLflow make of them."""

import math
import os
import tempfile

import mlflow
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException

from checking import check, equal, refused, section, unique


@section
def logged_models(client):
    key = client.create_experiment(unique("logged"))
    run = client.create_run(key).info.run_id
    m = client.create_logged_model(key, name="one", source_run_id=run, model_type="Agent", params={f"p{i}": str(i) for i in range(150)}, tags={"t": "1"})
    equal("logged: fields", (m.name, m.model_type, m.source_run_id, m.experiment_id, str(m.status)), ("one", "Agent", run, key, "PENDING"))
    check("logged: ID", m.model_id.startswith("m-") and len(m.model_id) == 34, m.model_id)
    equal("logged: location", m.artifact_location, f"mlflow-artifacts:/{key}/models/{m.model_id}/artifacts")
    got = client.get_logged_model(m.model_id)
    equal("logged: params", (len(got.params), got.params["p149"]), (150, "149"))
    client.set_logged_model_tags(m.model_id, {"t": "2", "u": "3"})
    client.delete_logged_model_tag(m.model_id, "u")
    equal("logged: tags", client.get_logged_model(m.model_id).tags, {"t": "2"})
    refused("logged: no such tag", lambda: client.delete_logged_model_tag(m.model_id, "none"), "RESOURCE_DOES_NOT_EXIST", "none")
    client.finalize_logged_model(m.model_id, "READY")
    equal("logged: ready", str(client.get_logged_model(m.model_id).status), "READY")
    refused("logged: none", lambda: client.get_logged_model("m-" + "0" * 32), "RESOURCE_DOES_NOT_EXIST", "not found")
    refused("logged: bad name", lambda: client.create_logged_model(key, name="a/b"), "INVALID_PARAMETER_VALUE", "Invalid model name")
    check("logged: random name", client.create_logged_model(key).name.count("-") == 2)
    client.log_outputs(run, [mlflow.entities.LoggedModelOutput(m.model_id, 0)])
    equal("logged: output of its run", [o.model_id for o in client.get_run(run).outputs.model_outputs], [m.model_id])

    client.log_metric(run, "acc", 0.5, step=1, model_id=m.model_id)
    client.log_metric(run, "acc", 0.75, step=2, model_id=m.model_id)
    client.log_metric(run, "acc", 0.9, step=1, model_id=m.model_id, dataset_name="d", dataset_digest="x")
    client.log_batch(run, [Metric("nan", math.nan, 1, 0, model_id=m.model_id), Metric("plain", 1, 1, 0)])
    got = {(x.key, x.dataset_name): x for x in client.get_logged_model(m.model_id).metrics}
    equal("logged: metrics", sorted(k for k, _ in got), ["acc", "acc", "nan"])
    equal("logged: latest value", (got["acc", None].value, got["acc", None].step, got["acc", None].run_id), (0.75, 2, run))
    equal("logged: of a dataset", (got["acc", "d"].value, got["acc", "d"].dataset_digest), (0.9, "x"))
    check("logged: NaN", math.isnan(got["nan", None].value))
    equal("logged: points are the run's, too", len(client.get_metric_history(run, "acc")), 3)
    refused("logged: metric of none", lambda: client.log_metric(run, "acc", 1, model_id="m-" + "0" * 32), "RESOURCE_DOES_NOT_EXIST", "not found")

    with tempfile.TemporaryDirectory() as tmp:
        os.makedirs(os.path.join(tmp, "in", "sub"))
        for path in ["MLmodel", "sub/w.bin"]:
            with open(os.path.join(tmp, "in", path), "w") as f:
                f.write(path)
        client.log_model_artifacts(m.model_id, os.path.join(tmp, "in"))
        equal("logged: files", [(f.path, f.is_dir) for f in client.list_logged_model_artifacts(m.model_id)], [("MLmodel", False), ("sub", True)])
        out = mlflow.artifacts.download_artifacts(f"models:/{m.model_id}", dst_path=os.path.join(tmp, "out"))
        equal("logged: downloaded", open(os.path.join(out, "sub", "w.bin")).read(), "sub/w.bin")
    name = unique("from-logged")
    client.create_registered_model(name)
    v = client.create_model_version(name, f"models:/{m.model_id}", model_id=m.model_id)
    equal("logged: registered", (v.version, v.run_id), ("1", run))
    check("logged: says so", name in client.get_logged_model(m.model_id).tags["mlflow.modelVersions"])
    client.delete_logged_model(m.model_id)
    refused("logged: deleted", lambda: client.get_logged_model(m.model_id), "RESOURCE_DOES_NOT_EXIST")
    with tempfile.TemporaryDirectory() as tmp:
        out = mlflow.artifacts.download_artifacts(f"models:/{name}/1", dst_path=tmp)
        equal("logged: the version outlives it", open(os.path.join(out, "sub", "w.bin")).read(), "sub/w.bin")


@section
def flavors(client):
    import numpy as np
    import pandas as pd
    from sklearn.linear_model import LogisticRegression

    exp = mlflow.set_experiment(unique("flavors")).experiment_id
    x, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 0, 1, 1])
    fitted = LogisticRegression().fit(x, y)
    want = list(fitted.predict(x))
    name = unique("sk")
    with mlflow.start_run() as run:
        info = mlflow.sklearn.log_model(fitted, name="model", registered_model_name=name, input_example=x)
    id = info.model_id
    m = client.get_logged_model(id)
    equal("sklearn: logged", (str(m.status), m.name, m.source_run_id), ("READY", "model", run.info.run_id))
    equal("sklearn: output of its run", [o.model_id for o in client.get_run(run.info.run_id).outputs.model_outputs], [id])
    v = client.get_model_version(name, "1")
    equal("sklearn: registered", (v.source, v.run_id), (f"models:/{id}", run.info.run_id))
    equal("sklearn: registrations", [t["name"] for t in __import__("json").loads(client.get_logged_model(id).tags["mlflow.modelVersions"])], [name])
    equal("sklearn: loaded", list(mlflow.sklearn.load_model(info.model_uri).predict(x)), want)
    client.set_registered_model_alias(name, "champion", "1")
    again = mlflow.register_model(f"runs:/{run.info.run_id}/model", name, tags={"by": "uri"})
    equal("sklearn: registered by run", (again.version, again.run_id), ("2", run.info.run_id))
    third = mlflow.register_model(f"models:/{id}", name)
    equal("sklearn: registered by logged model", third.version, "3")
    client.transition_model_version_stage(name, "2", "Staging")
    for uri in [f"models:/{name}/1", f"models:/{name}/3", f"models:/{name}/latest", f"models:/{name}@champion", f"models:/{name}/Staging", f"models:/{id}", f"runs:/{run.info.run_id}/model"]:
        what = uri.replace(name, "NAME").replace(id, "m-ID").replace(run.info.run_id, "RUN")
        equal(f"pyfunc: {what}", list(mlflow.pyfunc.load_model(uri).predict(x)), want)
    check("pyfunc: signature", mlflow.models.get_model_info(f"models:/{name}/1").signature is not None)
    try:
        mlflow.pyfunc.load_model(f"models:/{name}@none")
        check("pyfunc: unknown alias", False)
    except MlflowException as e:
        check("pyfunc: unknown alias", "none not found" in str(e), str(e))
    client.delete_logged_model(id)
    equal("pyfunc: version of a deleted logged model", list(mlflow.pyfunc.load_model(f"models:/{name}/1").predict(x)), want)

    mlflow.autolog(log_datasets=True)
    frame = pd.DataFrame({"a": x[:, 0], "b": x[:, 0] ** 2})
    with mlflow.start_run() as auto:
        clf = LogisticRegression(C=0.5).fit(frame, y)
        clf.score(frame, y)
    mlflow.autolog(disable=True)
    r = client.get_run(auto.info.run_id)
    equal("autolog: params", (r.data.params["C"], r.info.status), ("0.5", "FINISHED"))
    check("autolog: metrics", "training_score" in r.data.metrics, r.data.metrics)
    equal("autolog: datasets", [[t.value for t in d.tags] for d in r.inputs.dataset_inputs][0], ["train"])
    outs = [o.model_id for o in r.outputs.model_outputs]
    equal("autolog: logged model", len(outs), 1)
    logged = client.get_logged_model(outs[0])
    equal("autolog: its params", logged.params.get("C"), "0.5")
    on = {(mm.key, mm.dataset_digest) for mm in logged.metrics if mm.key == "training_score"}
    check("autolog: its metrics have a dataset", len(on) == 1 and on.pop()[1], logged.metrics)
    equal("autolog: loaded", len(mlflow.pyfunc.load_model(f"models:/{outs[0]}").predict(frame)), 4)
    files = [f.path for f in client.list_artifacts(auto.info.run_id)]
    check("autolog: files", any("confusion_matrix" in f for f in files), files)

    class Twice(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            return [2 * v for v in model_input["v"]]

    with mlflow.start_run():
        info = mlflow.pyfunc.log_model(name="twice", python_model=Twice(), registered_model_name=unique("twice"))
    equal("pyfunc: a class", mlflow.pyfunc.load_model(f"models:/{info.registered_model_version and info.name and client.get_logged_model(info.model_id).model_id}").predict(pd.DataFrame({"v": [1, 2]})), [2, 4])
    found = mlflow.search_logged_models(experiment_ids=[exp], output_format="list")
    check("search: logged models of the flavors", {"twice"} <= {m.name for m in found}, found)
    outside = mlflow.initialize_logged_model(name="by-hand", model_type="agent")
    mlflow.finalize_logged_model(outside.model_id, "FAILED")
    equal("logged: failed", str(client.get_logged_model(outside.model_id).status), "FAILED")


@section
def search_logged_models(client):
    key = client.create_experiment(unique("logged models"))
    run = client.create_run(key).info.run_id
    names = []
    for i in range(4):
        m = client.create_logged_model(key, name=f"m{i}")
        names.append(m.model_id)
        # The value of the greatest step counts, and not the greatest one.
        client.log_metric(run, "acc", 0.9, timestamp=1, step=0, dataset_name="iris", dataset_digest="1", model_id=m.model_id)
        client.log_metric(run, "acc", i / 10, timestamp=2, step=1, dataset_name="iris", dataset_digest="1", model_id=m.model_id)
        if i % 2:
            client.log_metric(run, "acc", 0.8 - i / 10, timestamp=3, step=2, dataset_name="wine", dataset_digest="7", model_id=m.model_id)
        if i == 3:
            client.log_metric(run, "f1", 0.5, timestamp=3, step=0, model_id=m.model_id)

    def found(filter=None, datasets=None, order=None):
        return [names.index(m.model_id) for m in client.search_logged_models([key], filter, datasets, order_by=order or [{"field_name": "name"}])]

    iris, wine, other = {"dataset_name": "iris"}, {"dataset_name": "wine", "dataset_digest": "7"}, {"dataset_name": "iris", "dataset_digest": "2"}
    for what, got, want in [
        ("latest", found("metrics.acc > 0.85"), []),
        ("latest of all datasets", found("metrics.acc >= 0.5"), [1, 3]),
        ("on a dataset", found("metrics.acc <= 0.1", [iris]), [0, 1]),
        ("on a version of a dataset", found("metrics.acc > 0.6", [wine]), [1]),
        ("on no version that there is", found("metrics.acc > 0", [other]), []),
        ("measured on a dataset", found(None, [wine]), [1, 3]),
        ("measured on one of two", found(None, [wine, iris]), [0, 1, 2, 3]),
        ("measured on none", found(None, [other]), []),
        ("two metrics", found("metrics.acc > 0.4 and metrics.f1 = 0.5"), [3]),
        ("status", found("status = 'PENDING'"), [0, 1, 2, 3]),
        ("another status", found("status != 'PENDING'"), []),
        ("order", found(order=[{"field_name": "metrics.acc", "ascending": False}]), [1, 3, 2, 0]),
        ("order on a dataset", found(order=[{"field_name": "metrics.acc", "ascending": True, "dataset_name": "iris"}]), [0, 1, 2, 3]),
        ("order on the dataset that is searched", found(None, [iris], [{"field_name": "metrics.acc", "ascending": False}]), [3, 2, 1, 0]),
        ("missing last", found(order=[{"field_name": "metrics.f1", "ascending": True}])[:1], [3]),
    ]:
        equal(f"search logged models: {what}", got, want)
    refused("search logged models: no status", lambda: found("status = 'DONE'"), "INVALID_PARAMETER_VALUE")
