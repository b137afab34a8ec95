"""What MLflow's own client gets from this server, by its public API.

Called with the tracking URI and the names of the sections to run, all by
default. Prints a line for each check that fails, and how many there were.
"""

import math
import os
import sys
import tempfile
import threading
import time
import traceback

import mlflow
from mlflow import MlflowClient
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    Metric,
    Param,
    RunTag,
    ViewType,
)
from mlflow.exceptions import MlflowException

SECTIONS = []
DONE, FAILED = 0, 0


def section(f):
    SECTIONS.append(f)
    return f


def check(what, holds, seen=""):
    global DONE, FAILED
    DONE += 1
    if not holds:
        FAILED += 1
        print(f"FAILED: {what}: {seen!r}", flush=True)


def equal(what, got, want):
    check(what, got == want, got if got != want else "")


def refused(what, call, code, text=""):
    try:
        call()
    except MlflowException as e:
        check(f"{what}: code", e.error_code == code, e.error_code)
        check(f"{what}: text", text in str(e), str(e))
    else:
        check(what, False, "not refused")


def unique(name):
    return f"{name}-{time.time_ns()}"


@section
def experiments(client):
    name = unique("checks")
    key = client.create_experiment(name, tags={"team": "risk"})
    equal("experiment: ID", client.get_experiment(key).experiment_id, key)
    e = client.get_experiment_by_name(name)
    equal("experiment: by name", e.experiment_id, key)
    equal("experiment: name", e.name, name)
    equal("experiment: tags", e.tags, {"team": "risk"})
    equal("experiment: stage", e.lifecycle_stage, "active")
    equal("experiment: location", e.artifact_location, f"mlflow-artifacts:/{key}")
    check("experiment: creation time", abs(e.creation_time / 1000 - time.time()) < 60, e.creation_time)
    refused("experiment: again", lambda: client.create_experiment(name), "RESOURCE_ALREADY_EXISTS", "already exists")
    refused("experiment: no name", lambda: client.create_experiment(""), "INVALID_PARAMETER_VALUE")
    refused("experiment: long name", lambda: client.create_experiment("x" * 501), "INVALID_PARAMETER_VALUE", "500")
    check("experiment: none of that name", client.get_experiment_by_name(unique("none")) is None)
    refused("experiment: no such ID", lambda: client.get_experiment("99999"), "RESOURCE_DOES_NOT_EXIST", "No Experiment with id=99999 exists")

    client.set_experiment_tag(key, "a", "1")
    client.set_experiment_tag(key, "a", "2")
    client.set_experiment_tag(key, "long", "x" * 6000)
    equal("experiment: tag set twice", client.get_experiment(key).tags["a"], "2")
    equal("experiment: long tag", len(client.get_experiment(key).tags["long"]), 6000)
    client.delete_experiment_tag(key, "long")
    check("experiment: tag deleted", "long" not in client.get_experiment(key).tags)
    refused("experiment: no such tag", lambda: client.delete_experiment_tag(key, "none"), "RESOURCE_DOES_NOT_EXIST", "none")

    renamed = unique("renamed to something else")
    client.rename_experiment(key, renamed)
    equal("experiment: renamed", client.get_experiment(key).name, renamed)
    equal("experiment: by its new name", client.get_experiment_by_name(renamed).experiment_id, key)
    refused("experiment: create with taken name", lambda: client.create_experiment(renamed), "RESOURCE_ALREADY_EXISTS")
    other = client.create_experiment(unique("other"))
    refused("experiment: rename to taken name", lambda: client.rename_experiment(other, renamed), "BAD_REQUEST")

    client.delete_experiment(key)
    equal("experiment: deleted", client.get_experiment(key).lifecycle_stage, "deleted")
    refused("experiment: deleted twice", lambda: client.delete_experiment(key), "RESOURCE_DOES_NOT_EXIST")
    refused("experiment: tag of deleted", lambda: client.set_experiment_tag(key, "a", "3"), "INVALID_PARAMETER_VALUE", "must be in the 'active' state")
    refused("experiment: run in deleted", lambda: client.create_run(key), "INVALID_PARAMETER_VALUE", "must be in the 'active' state")
    check("experiment: deleted is not listed", key not in [e.experiment_id for e in client.search_experiments()])
    check("experiment: deleted is listed", key in [e.experiment_id for e in client.search_experiments(view_type=ViewType.DELETED_ONLY)])
    check("experiment: all are listed", {key, other} <= {e.experiment_id for e in client.search_experiments(view_type=ViewType.ALL)})
    client.restore_experiment(key)
    equal("experiment: restored", client.get_experiment(key).lifecycle_stage, "active")
    refused("experiment: restored twice", lambda: client.restore_experiment(key), "RESOURCE_DOES_NOT_EXIST")

    names = ["übung 1", "a/b", "with spaces", "0", "-", "$", "x" * 500, "名前"]
    keys = {n: client.create_experiment(n + unique(" ") if len(n) < 400 else n) for n in names}
    equal("experiment: odd names have IDs of their own", len(set(keys.values())), len(names))
    for n, k in keys.items():
        check(f"experiment: name {n[:10]!r} is kept", client.get_experiment(k).name.startswith(n), client.get_experiment(k).name)
    default = client.get_experiment("0")
    equal("experiment: the default one", default.name, "Default")
    equal("experiment: the default one by name", client.get_experiment_by_name("Default").experiment_id, "0")
    client.set_experiment_tag("0", "used", "yes")
    equal("experiment: the default one's tag", client.get_experiment("0").tags["used"], "yes")


@section
def runs(client):
    key = client.create_experiment(unique("runs"))
    r = client.create_run(key, start_time=1700000000123, tags={"t": "1", "mlflow.user": "ann"}, run_name="first")
    id = r.info.run_id
    equal("run: ID", (len(id), id.isalnum()), (32, True))
    equal("run: name", (r.info.run_name, r.data.tags["mlflow.runName"]), ("first", "first"))
    equal("run: start", r.info.start_time, 1700000000123)
    equal("run: status", (r.info.status, r.info.end_time), ("RUNNING", None))
    equal("run: experiment", r.info.experiment_id, key)
    equal("run: artifact URI", r.info.artifact_uri, f"mlflow-artifacts:/{key}/{id}/artifacts")
    equal("run: stage", r.info.lifecycle_stage, "active")
    again = client.get_run(id)
    equal("run: read again", (again.info.run_name, again.info.start_time, again.data.tags["t"]), ("first", 1700000000123, "1"))
    check("run: random name", client.create_run(key).info.run_name.count("-") == 2)
    equal("run: name by tag", client.create_run(key, tags={"mlflow.runName": "tagged"}).info.run_name, "tagged")
    refused("run: two names", lambda: client.create_run(key, run_name="a", tags={"mlflow.runName": "b"}), "INVALID_PARAMETER_VALUE", "different values")
    refused("run: no such experiment", lambda: client.create_run("99999"), "RESOURCE_DOES_NOT_EXIST", "No Experiment with id=99999 exists")
    refused("run: no such run", lambda: client.get_run("0" * 32), "RESOURCE_DOES_NOT_EXIST", "Run with id=" + "0" * 32 + " not found")

    client.set_tag(id, "mlflow.runName", "second")
    equal("run: renamed by tag", client.get_run(id).info.run_name, "second")
    client.update_run(id, name="third")
    equal("run: renamed", client.get_run(id).data.tags["mlflow.runName"], "third")
    client.set_terminated(id, end_time=1700000009999)
    ended = client.get_run(id).info
    equal("run: ended", (ended.status, ended.end_time), ("FINISHED", 1700000009999))
    client.update_run(id, status="RUNNING")
    equal("run: goes on", client.get_run(id).info.status, "RUNNING")
    client.set_terminated(id, "FAILED")
    equal("run: failed", client.get_run(id).info.status, "FAILED")
    client.set_terminated(id, "KILLED")
    equal("run: killed after it failed", client.get_run(id).info.status, "KILLED")

    client.delete_run(id)
    equal("run: deleted", client.get_run(id).info.lifecycle_stage, "deleted")
    client.delete_run(id)
    for what, call in {
        "metric": lambda: client.log_metric(id, "m", 1),
        "param": lambda: client.log_param(id, "p", 1),
        "tag": lambda: client.set_tag(id, "t", 2),
        "batch": lambda: client.log_batch(id, params=[Param("p", "1")]),
    }.items():
        refused(f"run: {what} of deleted", call, "INVALID_PARAMETER_VALUE", "must be in the 'active' state. Current state is deleted")
    check("run: deleted is not found", id not in [r.info.run_id for r in client.search_runs([key])])
    check("run: deleted is found", id in [r.info.run_id for r in client.search_runs([key], run_view_type=ViewType.DELETED_ONLY)])
    client.restore_run(id)
    client.restore_run(id)
    equal("run: restored", client.get_run(id).info.lifecycle_stage, "active")
    client.delete_experiment(key)
    equal("run: deleted with its experiment", client.get_run(id).info.lifecycle_stage, "deleted")
    refused("run: metric of deleted experiment", lambda: client.log_param(id, "p", 1), "INVALID_PARAMETER_VALUE", "active")
    client.restore_experiment(key)
    equal("run: restored with its experiment", client.get_run(id).info.lifecycle_stage, "active")


@section
def logging(client):
    key = client.create_experiment(unique("logging"))
    id = client.create_run(key).info.run_id
    client.log_metric(id, "loss", 0.5, timestamp=1700000000000, step=1)
    client.log_metric(id, "loss", 0.25, timestamp=1700000000001, step=2)
    equal("metric: latest", client.get_run(id).data.metrics, {"loss": 0.25})
    h = client.get_metric_history(id, "loss")
    equal("metric: history", [(m.value, m.step, m.timestamp) for m in h], [(0.5, 1, 1700000000000), (0.25, 2, 1700000000001)])
    equal("metric: none of that name", client.get_metric_history(id, "none"), [])
    for name, value in {"nan": math.nan, "inf": math.inf, "ninf": -math.inf, "tiny": 5e-324, "big": 1.7e308, "neg": -0.0, "int": 3}.items():
        client.log_metric(id, name, value)
    got = client.get_run(id).data.metrics
    check("metric: NaN", math.isnan(got["nan"]), got)
    check("metric: infinity", got["inf"] >= 1.79e308 and got["ninf"] <= -1.79e308, got)
    equal("metric: small and great", (got["tiny"], got["big"], got["int"]), (5e-324, 1.7e308, 3.0))
    client.log_metric(id, "steps", 1, step=2**62, timestamp=1)
    client.log_metric(id, "steps", 2, step=-5, timestamp=2)
    equal("metric: latest goes by step", client.get_run(id).data.metrics["steps"], 1)
    equal("metric: great step", client.get_metric_history(id, "steps")[0].step, 2**62)
    for name in ["a/b", "with space", "ünï", "q:z", "100 %"]:
        client.log_batch(id, metrics=[Metric(name, 1, 1, 0)])
        equal(f"metric: name {name!r}", len(client.get_metric_history(id, name)), 1)
    refused("metric: no run", lambda: client.log_metric("f" * 32, "m", 1), "RESOURCE_DOES_NOT_EXIST", "not found")
    refused("metric: long name", lambda: client.log_metric(id, "x" * 251, 1), "INVALID_PARAMETER_VALUE", "250")

    client.log_param(id, "lr", 0.1)
    client.log_param(id, "lr", 0.1)
    refused("param: changed", lambda: client.log_param(id, "lr", 0.2), "INVALID_PARAMETER_VALUE", "Changing param values is not allowed")
    client.log_param(id, "long", "x" * 7000)
    client.log_param(id, "empty", "")
    client.log_param(id, "odd", 'ä"\\\n\t名')
    got = client.get_run(id).data.params
    equal("param: values", (got["lr"], len(got["long"]), got["empty"], got["odd"]), ("0.1", 6000, "", 'ä"\\\n\t名'))
    client.set_tag(id, "long", "x" * 9000)
    client.set_tag(id, "t", "1")
    client.set_tag(id, "t", "2")
    got = client.get_run(id).data.tags
    equal("tag: values", (len(got["long"]), got["t"]), (8000, "2"))
    client.delete_tag(id, "t")
    check("tag: deleted", "t" not in client.get_run(id).data.tags)
    refused("tag: deleted twice", lambda: client.delete_tag(id, "t"), "RESOURCE_DOES_NOT_EXIST", "No tag with name: t")
    client.set_terminated(id)
    client.log_metric(id, "late", 1)
    equal("metric: after the end", client.get_run(id).data.metrics["late"], 1)


@section
def batches(client):
    key = client.create_experiment(unique("batches"))
    id = client.create_run(key).info.run_id
    now = int(time.time() * 1000)
    client.log_batch(id, [Metric("m", i, now + i, i) for i in range(900)], [Param(f"p{i}", str(i)) for i in range(50)], [RunTag(f"t{i}", str(i)) for i in range(50)])
    data = client.get_run(id).data
    equal("batch: metrics", data.metrics["m"], 899)
    equal("batch: params", (len(data.params), data.params["p49"]), (50, "49"))
    equal("batch: tags", data.tags["t49"], "49")
    client.log_batch(id, [Metric("more", i, i, i) for i in range(1500)], [Param(f"more{i}", "") for i in range(150)])
    equal("batch: more than fits into one request", (len(client.get_metric_history(id, "more")), len(client.get_run(id).data.params)), (1500, 200))
    refused("batch: a param twice", lambda: client.log_batch(id, params=[Param("d", "1"), Param("d", "2")]), "INVALID_PARAMETER_VALUE", "Duplicate parameter keys")
    refused("batch: a changed param", lambda: client.log_batch(id, [Metric("never", 0, 0, 0)], [Param("new", "1"), Param("p1", "x")]), "INVALID_PARAMETER_VALUE", "Changing param values")
    data = client.get_run(id).data
    check("batch: all or nothing", "never" not in data.metrics and "new" not in data.params)
    for i in range(30):
        client.log_batch(id, [Metric("long", j, now + j, j) for j in range(i * 1000, (i + 1) * 1000)])
    h = client.get_metric_history(id, "long")
    equal("history: of two pages", (len(h), h[0].step, h[-1].step), (30000, 0, 29999))

    calls = [lambda i=i: client.log_batch(id, [Metric("threads", i, now, i)], [Param(f"thread{i}", str(i))]) for i in range(40)]
    threads = [threading.Thread(target=c) for c in calls]
    [t.start() for t in threads]
    [t.join() for t in threads]
    data = client.get_run(id).data
    equal("batch: 40 threads, points", len(client.get_metric_history(id, "threads")), 40)
    equal("batch: 40 threads, params", len([p for p in data.params if p.startswith("thread")]), 40)


@section
def inputs(client):
    key = client.create_experiment(unique("inputs"))
    id = client.create_run(key).info.run_id
    d = Dataset(name="iris", digest="abc", source_type="http", source='{"url": "x"}', schema='{"a": 1}', profile="p" * 100000)
    client.log_inputs(id, [DatasetInput(d, [InputTag("mlflow.data.context", "train")])])
    client.log_inputs(id, [DatasetInput(d, [InputTag("mlflow.data.context", "other")])])
    got = client.get_run(id).inputs.dataset_inputs
    equal("inputs: once", len(got), 1)
    equal("inputs: dataset", got[0].dataset.to_dictionary(), d.to_dictionary())
    equal("inputs: tags", [(t.key, t.value) for t in got[0].tags], [("mlflow.data.context", "train")])
    refused("inputs: long digest", lambda: client.log_inputs(id, [DatasetInput(Dataset("n", "d" * 37, "t", "s"), [])]), "INVALID_PARAMETER_VALUE", "36")


@section
def artifacts(client):
    key = client.create_experiment(unique("artifacts"))
    id = client.create_run(key).info.run_id
    with tempfile.TemporaryDirectory() as tmp:
        def write(name, data):
            path = os.path.join(tmp, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as f:
                f.write(data)
            return path

        client.log_artifact(id, write("a.txt", b"one"))
        client.log_artifact(id, write("b.txt", b"two"), "sub/folder")
        equal("artifacts: root", [(f.path, f.is_dir, f.file_size) for f in client.list_artifacts(id)], [("a.txt", False, 3), ("sub", True, None)])
        equal("artifacts: folder", [(f.path, f.is_dir) for f in client.list_artifacts(id, "sub")], [("sub/folder", True)])
        equal("artifacts: inner folder", [(f.path, f.file_size) for f in client.list_artifacts(id, "sub/folder")], [("sub/folder/b.txt", 3)])
        equal("artifacts: list of a file", client.list_artifacts(id, "a.txt"), [])
        equal("artifacts: list of nothing", client.list_artifacts(id, "none"), [])
        client.log_artifact(id, write("a.txt", b"replaced"))
        out = client.download_artifacts(id, "a.txt", tempfile.mkdtemp(dir=tmp))
        equal("artifacts: replaced", open(out, "rb").read(), b"replaced")
        equal("artifacts: once", [f.path for f in client.list_artifacts(id)], ["a.txt", "sub"])
        for name in ["with space.txt", "ünï.txt", "a+b&c=d.txt", "名.bin", "100%.txt", "empty"]:
            client.log_artifact(id, write(name, name.encode() if name != "empty" else b""), "odd")
        got = {f.path: f.file_size for f in client.list_artifacts(id, "odd")}
        equal("artifacts: odd names", len(got), 6)
        equal("artifacts: empty file", got["odd/empty"], 0)
        folder = client.download_artifacts(id, "odd", tempfile.mkdtemp(dir=tmp))
        equal("artifacts: downloaded folder", sorted(os.listdir(folder)), sorted(n.split("/")[1] for n in got))
        equal("artifacts: odd content", open(os.path.join(folder, "a+b&c=d.txt"), "rb").read(), b"a+b&c=d.txt")
        for i in range(5):
            write(f"tree/{i}/f{i}", str(i).encode())
        client.log_artifacts(id, os.path.join(tmp, "tree"), "tree")
        equal("artifacts: tree", len(client.list_artifacts(id, "tree")), 5)
        big = os.urandom(40_000_000)
        client.log_artifact(id, write("big.bin", big))
        equal("artifacts: 40 MB", open(client.download_artifacts(id, "big.bin", tempfile.mkdtemp(dir=tmp)), "rb").read() == big, True)
        try:
            client.download_artifacts(id, "none.txt", tempfile.mkdtemp(dir=tmp))
            check("artifacts: none", False)
        except Exception as e:
            check("artifacts: none", "none.txt" in str(e) or "404" in str(e), str(e))
        client.log_text(id, "text", "t/t.txt")
        client.log_dict(id, {"a": 1}, "t/d.json")
        equal("artifacts: text", mlflow.artifacts.load_text(f"runs:/{id}/t/t.txt"), "text")
        equal("artifacts: dict", mlflow.artifacts.load_dict(f"runs:/{id}/t/d.json"), {"a": 1})
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        get_artifact_repository(client.get_run(id).info.artifact_uri).delete_artifacts("sub")
        equal("artifacts: deleted folder", client.list_artifacts(id, "sub"), [])
        local = client.create_experiment(unique("local"), artifact_location="file://" + os.path.join(tmp, "local"))
        run = client.create_run(local).info
        equal("artifacts: the client's own folder", run.artifact_uri, f"file://{tmp}/local/{run.run_id}/artifacts")
        client.log_artifact(run.run_id, os.path.join(tmp, "a.txt"))
        equal("artifacts: in the client's own folder", os.listdir(os.path.join(tmp, "local", run.run_id, "artifacts")), ["a.txt"])


@section
def fluent(client):
    name = unique("fluent")
    mlflow.set_experiment(name)
    with mlflow.start_run(run_name="outer", tags={"x": "y"}, description="about it") as outer:
        mlflow.log_params({"a": 1, "b": "two"})
        mlflow.log_metrics({"m": 1.5, "n": 2}, step=3)
        mlflow.log_metric("m", 2.5, step=4)
        mlflow.set_tags({"t": 1})
        with mlflow.start_run(run_name="inner", nested=True) as inner:
            mlflow.log_param("c", 3)
    got = client.get_run(outer.info.run_id)
    equal("fluent: status", got.info.status, "FINISHED")
    equal("fluent: params", got.data.params, {"a": "1", "b": "two"})
    equal("fluent: metrics", got.data.metrics, {"m": 2.5, "n": 2})
    equal("fluent: description", got.data.tags["mlflow.note.content"], "about it")
    equal("fluent: child", client.get_run(inner.info.run_id).data.tags["mlflow.parentRunId"], outer.info.run_id)
    try:
        with mlflow.start_run() as broken:
            raise ValueError("broken")
    except ValueError:
        pass
    equal("fluent: failed", client.get_run(broken.info.run_id).info.status, "FAILED")
    with mlflow.start_run(run_id=outer.info.run_id):
        mlflow.log_metric("m", 3.5, step=5)
    equal("fluent: resumed", client.get_run(outer.info.run_id).data.metrics["m"], 3.5)
    equal("fluent: last active run", mlflow.last_active_run().info.run_id, outer.info.run_id)
    with mlflow.start_run() as r:
        for i in range(50):
            mlflow.log_metric("async", i, step=i, synchronous=False)
        mlflow.flush_async_logging()
    equal("fluent: asynchronous", len(client.get_metric_history(r.info.run_id, "async")), 50)
    found = client.search_runs([mlflow.get_experiment_by_name(name).experiment_id])
    equal("fluent: runs", len(found), 4)
    page = client.search_runs([found[0].info.experiment_id], max_results=3)
    rest = client.search_runs([found[0].info.experiment_id], max_results=3, page_token=page.token)
    equal("fluent: pages", [r.info.run_id for r in list(page) + list(rest)], [r.info.run_id for r in found])


@section
def registry(client):
    name = unique("model")
    m = client.create_registered_model(name, tags={"team": "risk"}, description="first")
    equal("registry: created", (m.name, m.description, m.tags), (name, "first", {"team": "risk"}))
    check("registry: creation time", abs(m.creation_timestamp / 1000 - time.time()) < 60, m.creation_timestamp)
    refused("registry: again", lambda: client.create_registered_model(name), "RESOURCE_ALREADY_EXISTS", "already exists")
    for bad in ["", "  ", "a/b", "a:b"]:
        refused(f"registry: name {bad!r}", lambda: client.create_registered_model(bad), "INVALID_PARAMETER_VALUE")
    refused("registry: none of that name", lambda: client.get_registered_model(unique("none")), "RESOURCE_DOES_NOT_EXIST", "Registered Model with name=")
    client.update_registered_model(name, "second")
    equal("registry: description", client.get_registered_model(name).description, "second")
    client.set_registered_model_tag(name, "a", "1")
    client.set_registered_model_tag(name, "long", "x" * 90000)
    equal("registry: tags", sorted(client.get_registered_model(name).tags), ["a", "long", "team"])
    client.delete_registered_model_tag(name, "long")
    client.delete_registered_model_tag(name, "none")
    equal("registry: tag deleted", client.get_registered_model(name).tags, {"a": "1", "team": "risk"})
    equal("registry: no versions", client.get_registered_model(name).latest_versions, [])
    for odd in ["with space", "übung", "名前", "x" * 256, "-", "a@b"]:
        n = odd if len(odd) > 200 else odd + unique(" ")
        client.create_registered_model(n)
        equal(f"registry: name {odd[:10]!r} is kept", client.get_registered_model(n).name, n)
        refused(f"registry: name {odd[:10]!r} is taken", lambda: client.create_registered_model(n), "RESOURCE_ALREADY_EXISTS")

    key = client.create_experiment(unique("registry"))
    run = client.create_run(key)
    client.log_text(run.info.run_id, "one", "model/a.txt")
    client.log_text(run.info.run_id, "deep", "model/sub/b.txt")
    source = run.info.artifact_uri + "/model"
    v = client.create_model_version(name, source, run.info.run_id, tags={"t": "1"}, description="d", run_link="http://x/y")
    equal("version: number", (v.name, v.version, v.current_stage, v.status), (name, "1", "None", "READY"))
    equal("version: fields", (v.source, v.run_id, v.tags, v.description, v.run_link), (source, run.info.run_id, {"t": "1"}, "d", "http://x/y"))
    client.log_text(run.info.run_id, "two", "model/a.txt")
    v2 = client.create_model_version(name, f"runs:/{run.info.run_id}/model", run.info.run_id)
    equal("version: second", v2.version, "2")
    uri = client.get_model_version_download_uri(name, "1")
    check("version: download URI", uri.startswith("mlflow-artifacts:/"), uri)
    with tempfile.TemporaryDirectory() as tmp:
        one = mlflow.artifacts.download_artifacts(f"models:/{name}/1", dst_path=os.path.join(tmp, "1"))
        two = mlflow.artifacts.download_artifacts(f"models:/{name}/2", dst_path=os.path.join(tmp, "2"))
        equal("version: keeps its files", open(os.path.join(one, "a.txt")).read(), "one")
        equal("version: the files of its time", open(os.path.join(two, "a.txt")).read(), "two")
        equal("version: deep file", open(os.path.join(one, "sub", "b.txt")).read(), "deep")
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    for what, change in {
        "deleted": lambda: get_artifact_repository(uri).delete_artifacts("a.txt"),
        "replaced": lambda: get_artifact_repository(uri).log_artifact(__file__),
    }.items():
        try:
            change()
            check(f"version: files are not {what}", False)
        except Exception as e:
            check(f"version: files are not {what}", "403" in str(e) or "never change" in str(e), str(e))
    client.update_model_version(name, "1", "changed")
    client.set_model_version_tag(name, "1", "k", "v" * 50000)
    client.set_model_version_tag(name, "2", "only", "two")
    client.delete_model_version_tag(name, "1", "t")
    v = client.get_model_version(name, "1")
    equal("version: changed", (v.description, list(v.tags), len(v.tags["k"])), ("changed", ["k"], 50000))
    refused("version: none", lambda: client.get_model_version(name, "9"), "RESOURCE_DOES_NOT_EXIST", f"Model Version (name={name}, version=9) not found")
    refused("version: no number", lambda: client.get_model_version(name, "x"), "INVALID_PARAMETER_VALUE", "must be an integer")
    refused("version: of no model", lambda: client.create_model_version(unique("none"), source, run.info.run_id), "RESOURCE_DOES_NOT_EXIST", "not found")
    for bad in ["s3://b", "/etc", "file:///etc", "file:///etc/passwd", "s3://b/../x", "mlflow-artifacts:/../x", "mlflow-artifacts://other/0/x/artifacts/m",
                "mlflow-artifacts:/%2e%2e/x", "http://h/a/..%2f..%2fx", "http://h/api/2.0/mlflow-artifacts/artifacts/x", "C:\\x", "./x", "models:/none-of-it/1",
                "models:/m-" + "0" * 32, "runs:/none/model"]:
        try:
            client.create_model_version(name, bad)
            check(f"version: source {bad!r}", False, "not refused")
        except MlflowException as e:
            check(f"version: source {bad!r}", e.error_code in ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST"), str(e))
    outside = client.create_model_version(name, "s3://bucket/some/model")
    equal("version: external source", client.get_model_version_download_uri(name, outside.version), "s3://bucket/some/model")

    client.set_registered_model_alias(name, "champion", "1")
    equal("alias: version", client.get_model_version_by_alias(name, "champion").version, "1")
    client.set_registered_model_alias(name, "champion", "2")
    client.set_registered_model_alias(name, "other", 2)
    equal("alias: moved", client.get_model_version_by_alias(name, "champion").version, "2")
    equal("alias: of the model", client.get_registered_model(name).aliases, {"champion": "2", "other": "2"})
    equal("alias: of the version", sorted(client.get_model_version(name, "2").aliases), ["champion", "other"])
    client.delete_registered_model_alias(name, "other")
    client.delete_registered_model_alias(name, "none")
    refused("alias: deleted", lambda: client.get_model_version_by_alias(name, "other"), "INVALID_PARAMETER_VALUE", "alias other not found")
    for bad in ["latest", "Latest", "v1", "V22", "a b", "x" * 256]:
        refused(f"alias: {bad[:10]!r}", lambda: client.set_registered_model_alias(name, bad, "1"), "INVALID_PARAMETER_VALUE")
    refused("alias: of no version", lambda: client.set_registered_model_alias(name, "a", "99"), "RESOURCE_DOES_NOT_EXIST")

    equal("stage: latest without stages", [v.version for v in client.get_latest_versions(name)], ["3"])
    client.transition_model_version_stage(name, "1", "production")
    equal("stage: production", client.get_model_version(name, "1").current_stage, "Production")
    client.transition_model_version_stage(name, "2", "Production", archive_existing_versions=True)
    equal("stage: archived", client.get_model_version(name, "1").current_stage, "Archived")
    equal("stage: latest of each", {v.current_stage: v.version for v in client.get_latest_versions(name)}, {"None": "3", "Production": "2", "Archived": "1"})
    equal("stage: latest of one", [v.version for v in client.get_latest_versions(name, ["Production"])], ["2"])
    refused("stage: unknown", lambda: client.transition_model_version_stage(name, "1", "Moon"), "INVALID_PARAMETER_VALUE", "Invalid Model Version stage")
    refused("stage: nothing to archive", lambda: client.transition_model_version_stage(name, "1", "None", True), "INVALID_PARAMETER_VALUE", "not an Active stage")

    client.delete_model_version(name, "2")
    refused("version: deleted", lambda: client.get_model_version(name, "2"), "RESOURCE_DOES_NOT_EXIST")
    equal("version: aliases go with it", client.get_registered_model(name).aliases, {})
    copy = client.copy_model_version(f"models:/{name}/1", unique("copy"))
    equal("version: copied", (copy.version, copy.source), ("1", f"models:/{name}/1"))
    with tempfile.TemporaryDirectory() as tmp:
        got = mlflow.artifacts.download_artifacts(f"models:/{copy.name}/1", dst_path=tmp)
        equal("version: files of a copy", open(os.path.join(got, "a.txt")).read(), "one")

    renamed = unique("renamed")
    client.rename_registered_model(name, renamed)
    equal("rename: versions", client.get_model_version(renamed, "1").name, renamed)
    refused("rename: the old name", lambda: client.get_registered_model(name), "RESOURCE_DOES_NOT_EXIST")
    refused("rename: to a taken name", lambda: client.rename_registered_model(renamed, copy.name), "RESOURCE_ALREADY_EXISTS")
    equal("rename: next number", client.create_model_version(renamed, source, run.info.run_id).version, "4")
    client.delete_registered_model(renamed)
    refused("registry: deleted", lambda: client.get_registered_model(renamed), "RESOURCE_DOES_NOT_EXIST")
    refused("registry: deleted versions", lambda: client.get_model_version(renamed, "1"), "RESOURCE_DOES_NOT_EXIST")
    refused("registry: deleted twice", lambda: client.delete_registered_model(renamed), "RESOURCE_DOES_NOT_EXIST")
    again = client.create_registered_model(renamed)
    equal("registry: made again", (again.description, again.tags, again.aliases), ("", {}, {}))


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
def registry_search(client):
    base = unique("search")
    names = [f"{base}-{x}" for x in "abc"] + [f"{base} odd ü"]
    for i, n in enumerate(names):
        client.create_registered_model(n, tags={"i": str(i)} if i else {})
    key = client.create_experiment(unique("search"))
    run = client.create_run(key).info
    client.log_text(run.run_id, "x", "m/x.txt")
    for n in [names[0]] * 3 + [names[3]] * 2:
        client.create_model_version(n, run.artifact_uri + "/m", run.run_id)
    client.set_model_version_tag(names[0], "2", "best", "yes")
    only = f"name LIKE '{base}%'"
    time.sleep(1.1)  # models show that they changed to the second
    client.create_model_version(names[1], run.artifact_uri + "/m", run.run_id)
    client.delete_model_version(names[1], "1")
    models = lambda *a, **k: [m.name for m in client.search_registered_models(*a, **k)]
    equal("search: models by name", models(only), sorted(names, key=lambda n: n.encode()))
    equal("search: one name", models(f"name = '{names[3]}'"), [names[3]])
    equal("search: names of any case", models(f"name ILIKE '{base.upper()}-A'"), [names[0]])
    equal("search: a tag", models(only + " AND tags.i = '2'"), [names[2]])
    equal("search: not a tag", sorted(models(only + " AND tag.i != '2'")), sorted(set(names) - {names[2]}))
    equal("search: order", models(only, order_by=["name DESC"]), sorted(names, key=lambda n: n.encode(), reverse=True))
    equal("search: last changed first", models(only, order_by=["last_updated_timestamp DESC"])[0], names[1])
    page = client.search_registered_models(only, max_results=3)
    equal("search: pages of models", [m.name for m in page] + [m.name for m in client.search_registered_models(only, max_results=3, page_token=page.token)], models(only))
    equal("search: latest versions", {m.name: [v.version for v in m.latest_versions] for m in client.search_registered_models(only)}, {names[0]: ["3"], names[1]: [], names[2]: [], names[3]: ["2"]})
    for bad in ["name >", "nothing = 'x'", "name = 1", "params.x = 'y'"]:
        refused(f"search: models where {bad}", lambda: client.search_registered_models(bad), "INVALID_PARAMETER_VALUE")
    refused("search: order of models", lambda: client.search_registered_models(order_by=["nothing"]), "INVALID_PARAMETER_VALUE")
    refused("search: too many models", lambda: client.search_registered_models(max_results=1001), "INVALID_PARAMETER_VALUE", "1000")

    versions = lambda *a, **k: [(v.name, v.version) for v in client.search_model_versions(*a, **k)]
    first = [(names[0], str(n)) for n in (3, 2, 1)]
    equal("search: versions of a model", versions(f"name = '{names[0]}'", order_by=["version_number DESC"]), first)
    equal("search: versions of an odd name", sorted(versions(f"name='{names[3]}'")), [(names[3], "1"), (names[3], "2")])
    equal("search: versions by pattern", len(versions(only)), 5)
    equal("search: versions of two names", len(versions(f"name IN ('{names[0]}', '{names[1]}')")), 3)
    equal("search: versions of a run", len(versions(f"run_id = '{run.run_id}'")), 5)
    equal("search: versions by source", len(versions(f"source_path = '{run.artifact_uri}/m'")), 5)
    equal("search: versions by number", versions(f"name = '{names[0]}' AND version_number >= 2", order_by=["version_number ASC"]), first[:2][::-1])
    equal("search: versions by tag", versions(f"tags.best = 'yes' AND {only}"), [(names[0], "2")])
    equal("search: last changed version first", versions(only)[0], (names[0], "2"))
    equal("search: no versions", versions("name = 'no such model'"), [])
    page = client.search_model_versions(only, max_results=2)
    equal("search: pages of versions", len(page) + len(client.search_model_versions(only, max_results=10, page_token=page.token)), 5)
    refused("search: versions where", lambda: client.search_model_versions("nothing = 'x'"), "INVALID_PARAMETER_VALUE")
    client.set_registered_model_alias(names[0], "best", "2")
    equal("search: aliases of versions", [v.aliases for v in client.search_model_versions(f"name = '{names[0]}' AND version_number = 2")], [["best"]])
    renamed = unique("search-renamed")
    client.rename_registered_model(names[1], renamed)
    equal("search: renamed", (models(f"name = '{names[1]}'"), models(f"name = '{renamed}'")), ([], [renamed]))
    client.delete_registered_model(renamed)
    equal("search: deleted", models(f"name = '{renamed}'"), [])
    client.delete_model_version(names[0], "2")
    equal("search: deleted version", versions(f"name = '{names[0]}'", order_by=["version_number ASC"]), [first[2], first[0]])
    prompt = mlflow.genai.register_prompt(unique("prompt"), "Hello {{name}}")
    check("search: prompts are no models", prompt.name not in models())
    equal("search: prompts", mlflow.genai.load_prompt(f"prompts:/{prompt.name}/1").template, "Hello {{name}}")

    made = {}
    for name, acc, other in [("a", 0.5, 0.9), ("b", 0.7, 0.1), ("c", None, None)]:
        m = client.create_logged_model(key, name=name, source_run_id=run.run_id, params={"p": name}, tags={"t": name}, model_type="x")
        made[name] = m.model_id
        if acc is not None:
            client.log_metric(run.run_id, "acc", acc, model_id=m.model_id, dataset_name="train", dataset_digest="1")
            client.log_metric(run.run_id, "acc", other, model_id=m.model_id, dataset_name="test", dataset_digest="1")
            client.log_metric(run.run_id, "loss", 1 - acc, model_id=m.model_id)
    client.finalize_logged_model(made["a"], "READY")
    logged = lambda **k: [m.name for m in client.search_logged_models([key], **k)]
    equal("search: logged models, the newest first", logged(), ["c", "b", "a"])
    equal("search: logged models by name", logged(filter_string="name = 'b'"), ["b"])
    equal("search: logged models by param", logged(filter_string="params.p != 'a'"), ["c", "b"])
    equal("search: logged models by tag", logged(filter_string="tags.t LIKE 'c%'"), ["c"])
    equal("search: logged models by run", len(logged(filter_string=f"source_run_id = '{run.run_id}'")), 3)
    equal("search: logged models by status", logged(filter_string="status = 'READY'"), ["a"])
    equal("search: logged models by metric", logged(filter_string="metrics.loss < 0.4"), ["b"])
    equal("search: logged models by two", logged(filter_string="metrics.loss < 0.6 AND name IN ('a', 'c')"), ["a"])
    equal("search: logged models on a dataset", logged(filter_string="metrics.acc > 0.6", datasets=[{"dataset_name": "train"}]), ["b"])
    equal("search: logged models on another", logged(filter_string="metrics.acc > 0.6", datasets=[{"dataset_name": "test", "dataset_digest": "1"}]), ["a"])
    equal("search: logged models on either", logged(filter_string="metrics.acc > 0.6", datasets=[{"dataset_name": "test"}, {"dataset_name": "train"}]), ["b", "a"])
    equal("search: logged models on any metric", logged(datasets=[{"dataset_name": "train"}]), ["b", "a"])
    equal("search: logged models on no dataset", logged(datasets=[{"dataset_name": "train", "dataset_digest": "2"}]), [])
    equal("search: logged models ordered", logged(order_by=[{"field_name": "metrics.loss"}]), ["b", "a", "c"])
    equal("search: logged models ordered down", logged(order_by=[{"field_name": "metrics.acc", "ascending": False, "dataset_name": "test", "dataset_digest": "1"}]), ["a", "b", "c"])
    equal("search: logged models ordered by name", logged(order_by=[{"field_name": "name", "ascending": True}]), ["a", "b", "c"])
    page = client.search_logged_models([key], max_results=2)
    equal("search: pages of logged models", [m.name for m in page] + [m.name for m in client.search_logged_models([key], max_results=2, page_token=page.token)], ["c", "b", "a"])
    refused("search: logged models where", lambda: logged(filter_string="nothing.x = 'y'"), "INVALID_PARAMETER_VALUE")
    refused("search: order of logged models", lambda: logged(order_by=[{"field_name": "nothing"}]), "INVALID_PARAMETER_VALUE", "Invalid order by field name")
    client.delete_logged_model(made["b"])
    equal("search: deleted logged models", logged(), ["c", "a"])
    d = Dataset(name="iris", digest="abc", source_type="http", source="{}")
    client.log_inputs(run.run_id, [DatasetInput(d, [InputTag("mlflow.data.context", "train")])])
    found = client._tracking_client.store._search_datasets([key]) if hasattr(client._tracking_client.store, "_search_datasets") else None
    if found is not None:
        equal("search: datasets", [(s.name, s.digest, s.context) for s in found], [("iris", "abc", "train")])


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

    mlflow.sklearn.autolog(log_datasets=True)
    frame = pd.DataFrame({"a": x[:, 0], "b": x[:, 0] ** 2})
    with mlflow.start_run() as auto:
        clf = LogisticRegression(C=0.5).fit(frame, y)
        clf.score(frame, y)
    mlflow.sklearn.autolog(disable=True)
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
def search(client):
    key = client.create_experiment(unique("search"))
    other = client.create_experiment(unique("search other"))
    ids = []
    for i in range(12):
        r = client.create_run(key if i < 10 else other, start_time=1700000000000 + i, run_name=f"run {i}", tags={"team": "risk" if i % 2 else "Fraud", "n`a": str(i)})
        ids.append(r.info.run_id)
        client.log_batch(r.info.run_id, [Metric("acc", i / 10, 1, 0), Metric("a b", i, 1, 0)], [Param("lr", str(i % 3)), Param("opt", "adam" if i < 5 else "SGD")])
        if i == 3:
            client.log_metric(r.info.run_id, "acc", math.nan, step=1)
        if i % 4 == 0:
            client.set_terminated(r.info.run_id, "FINISHED" if i else "FAILED", end_time=1700000001000 + i)

    def found(filter="", order=None, experiments=None, **more):
        return [ids.index(r.info.run_id) for r in client.search_runs(experiments or [key], filter, order_by=order or ["start_time ASC"], **more)]

    for filter, want in {
        "": list(range(10)),
        "metrics.acc > 0.6": [7, 8, 9],
        "metrics.acc >= 0.6 and metrics.acc < 0.9": [6, 7, 8],
        "metric.`a b` = 4": [4],
        'metrics."a b" != 4': [0, 1, 2, 3, 5, 6, 7, 8, 9],
        "params.lr = '0'": [0, 3, 6, 9],
        "parameters.opt != 'adam'": [5, 6, 7, 8, 9],
        "params.opt LIKE 'S%'": [5, 6, 7, 8, 9],
        "params.opt ILIKE 'sg_'": [5, 6, 7, 8, 9],
        "params.none != 'x'": [],
        "tags.team = 'risk' AND params.lr = '1'": [1, 7],
        "tag.team ILIKE 'FRAUD'": [0, 2, 4, 6, 8],
        "tags.mlflow.runName = 'run 3'": [3],
        "attributes.run_name LIKE 'run %' and attributes.run_name != 'run 4'": [0, 1, 2, 3, 5, 6, 7, 8, 9],
        "run_name = 'run 2'": [2],
        "attributes.status = 'FINISHED'": [4, 8],
        "status != 'RUNNING'": [0, 4, 8],
        "attr.status LIKE 'F%'": [0, 4, 8],
        "status = 'SCHEDULED'": [],
        "start_time > 1700000000007": [8, 9],
        "attributes.end_time <= 1700000001004": [0, 4],
        f"run_id IN ('{ids[1]}', '{ids[11]}')": [1],
        f"attributes.run_id = '{ids[5]}'": [5],
    }.items():
        equal(f"search: {filter}", found(filter), want)
    equal("search: of two experiments", found("metrics.acc > 0.8", experiments=[key, other]), [9, 10, 11])
    equal("search: of no experiment that there is", list(client.search_runs(["99999"])), [])
    equal("search: newest first", [ids.index(r.info.run_id) for r in client.search_runs([key])], list(range(9, -1, -1)))
    equal("search: order by metric", found(order=["metrics.acc DESC"]), [9, 8, 7, 6, 5, 4, 2, 1, 0, 3])
    equal("search: NaN last", found(order=["metrics.acc ASC"]), [0, 1, 2, 4, 5, 6, 7, 8, 9, 3])
    equal("search: order by two", found(order=["params.lr DESC", "attributes.start_time"]), [2, 5, 8, 1, 4, 7, 0, 3, 6, 9])
    equal("search: missing last", found(order=["end_time DESC", "start_time"])[:3], [8, 4, 0])
    pages, token = [], None
    while True:
        page = client.search_runs([key], "metrics.acc >= 0", order_by=["metrics.acc"], max_results=4, page_token=token)
        pages.append([ids.index(r.info.run_id) for r in page])
        token = page.token
        if not token:
            break
    equal("search: pages", pages, [[0, 1, 2, 4], [5, 6, 7, 8], [9]])
    for filter in ["metrics.acc > 'x'", "params.lr > 1", "nonsense", "metrics.acc >", "acc = 1", "attributes.none = 'x'", "tags.team = risk"]:
        refused(f"search: bad filter {filter}", lambda: client.search_runs([key], filter), "INVALID_PARAMETER_VALUE")
    refused("search: bad order", lambda: client.search_runs([key], order_by=["metrics.acc UP"]), "INVALID_PARAMETER_VALUE")
    refused("search: bad token", lambda: client.search_runs([key], page_token="x"), "INVALID_PARAMETER_VALUE")
    r = client.search_runs([key], f"run_id = '{ids[4]}'")[0]
    equal("search: data", (r.data.metrics["a b"], r.data.params["opt"], r.data.tags["team"], r.info.status), (4, "adam", "Fraud", "FINISHED"))
    client.log_metric(ids[4], "acc", 5, step=1)
    equal("search: sees what was just logged", found("metrics.acc = 5"), [4])

    names = [unique("search b"), unique("search A"), unique("search-c")]
    keys = [client.create_experiment(n, tags={"batch": names[0]}) for n in names]
    mine = f"tags.batch = '{names[0]}'"
    equal("search: experiments", [e.experiment_id for e in client.search_experiments(filter_string=mine)], keys[::-1])
    equal("search: experiments by name", [e.name for e in client.search_experiments(filter_string=mine, order_by=["name"])], sorted(names))
    equal("search: experiment of a name", [e.name for e in client.search_experiments(filter_string=f"name = '{names[0]}'")], [names[0]])
    equal("search: experiments like", [e.name for e in client.search_experiments(filter_string=f"name ILIKE 'SEARCH a%' AND {mine}")], [names[1]])
    page = client.search_experiments(filter_string=mine, max_results=2)
    rest = client.search_experiments(filter_string=mine, max_results=2, page_token=page.token)
    equal("search: pages of experiments", [e.experiment_id for e in list(page) + list(rest)], keys[::-1])
    refused("search: bad filter of experiments", lambda: client.search_experiments(filter_string="none = 1"), "INVALID_PARAMETER_VALUE")


def main():
    mlflow.set_tracking_uri(sys.argv[1])
    for f in SECTIONS:
        if len(sys.argv) > 2 and f.__name__ not in sys.argv[2:]:
            continue
        begun = time.time()
        try:
            f(MlflowClient())
        except Exception:
            check(f"section {f.__name__} ends", False, traceback.format_exc())
        print(f"{f.__name__}: {time.time() - begun:.1f} s", flush=True)
    print(f"{DONE} checks, {FAILED} failed, mlflow {mlflow.__version__}")
    sys.exit(FAILED > 0)


main()
