"""The fluent interface, system metrics and the command line."""

import os
import subprocess
import sys
import tempfile
import time

import mlflow

from checking import check, equal, section, unique


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
def system_metrics(client):
    mlflow.set_experiment(unique("system"))
    mlflow.set_system_metrics_sampling_interval(0.2)
    mlflow.set_system_metrics_samples_before_logging(1)
    with mlflow.start_run(log_system_metrics=True) as r:
        time.sleep(1.5)
    names = {name for name in client.get_run(r.info.run_id).data.metrics if name.startswith("system/")}
    check("system metrics: the processor's", "system/cpu_utilization_percentage" in names, names)
    check("system metrics: the memory's", "system/system_memory_usage_megabytes" in names, names)


@section
def asynchronous(client):
    mlflow.set_experiment(unique("asynchronous"))
    mlflow.config.enable_async_logging(True)
    with mlflow.start_run() as r:
        for step in range(200):
            mlflow.log_metrics({"a": step, "b": -step}, step=step)
        mlflow.log_params({"p": 1, "q": 2})
        mlflow.set_tag("t", "v")
    mlflow.flush_async_logging()
    mlflow.config.enable_async_logging(False)
    data = client.get_run(r.info.run_id).data
    equal("asynchronous: the last values", (data.metrics["a"], data.metrics["b"]), (199, -199))
    equal("asynchronous: all points", [m.step for m in client.get_metric_history(r.info.run_id, "a")], list(range(200)))
    equal("asynchronous: parameters and tags", (data.params, data.tags["t"]), ({"p": "1", "q": "2"}, "v"))


@section
def command_line(client):
    from click.testing import CliRunner
    from mlflow.cli import cli as mlflow_cli

    def cli(*args):
        done = CliRunner().invoke(mlflow_cli, args)
        check(f"command line: mlflow {' '.join(args[:2])}", done.exit_code == 0, done.output)
        return done.output

    name = unique("command-line")
    # One in a process of its own; the others without the seconds that it needs to start.
    done = subprocess.run([sys.executable, "-m", "mlflow", "experiments", "create", "--experiment-name", name], capture_output=True, text=True,
                          env={**os.environ, "MLFLOW_TRACKING_URI": mlflow.get_tracking_uri()})
    check("command line: mlflow experiments create", done.returncode == 0, done.stderr)
    key = client.get_experiment_by_name(name).experiment_id
    check("command line: the experiment is listed", name in cli("experiments", "search"))
    run = client.create_run(key, run_name="by hand").info.run_id
    client.set_terminated(run)
    check("command line: the run is listed", run in cli("runs", "list", "--experiment-id", key))
    check("command line: the run is described", run in cli("runs", "describe", "--run-id", run))
    with tempfile.TemporaryDirectory() as tmp:
        path = os.path.join(tmp, "a.txt")
        with open(path, "w") as f:
            f.write("content")
        cli("artifacts", "log-artifact", "--local-file", path, "--run-id", run)
        check("command line: the artifact is listed", "a.txt" in cli("artifacts", "list", "--run-id", run))
        cli("artifacts", "download", "--run-id", run, "--artifact-path", "a.txt", "--dst-path", os.path.join(tmp, "out"))
        equal("command line: the artifact is downloaded", open(os.path.join(tmp, "out", "a.txt")).read(), "content")
    cli("runs", "delete", "--run-id", run)
    equal("command line: the run is deleted", client.get_run(run).info.lifecycle_stage, "deleted")
    cli("runs", "restore", "--run-id", run)
    equal("command line: the run is restored", client.get_run(run).info.lifecycle_stage, "active")
    cli("experiments", "delete", "--experiment-id", key)
    equal("command line: the experiment is deleted", client.get_experiment(key).lifecycle_stage, "deleted")
