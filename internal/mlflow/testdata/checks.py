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
