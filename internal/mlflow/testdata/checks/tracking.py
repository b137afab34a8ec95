"""Experiments and runs, and what is logged to them."""

import math
import threading
import time

import mlflow
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag, ViewType

from checking import check, equal, refused, section, unique


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
