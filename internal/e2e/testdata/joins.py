"""A script that uses MLflow as it would anywhere. Its arguments are an experiment
and a run that are not its own, and whether it may use them."""

import os
import sys
import time

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

other_experiment, other_run, allowed = sys.argv[1], sys.argv[2], sys.argv[3] == "allowed"
own, experiment = os.environ["MLFLOW_RUN_ID"], os.environ["MLFLOW_EXPERIMENT_ID"]
client = MlflowClient()


def bounded(what, call):
    try:
        call()
    except MlflowException as e:
        assert not allowed, f"{what}: {e}"
        assert e.error_code == "PERMISSION_DENIED" and "allow-workspace" in str(e), f"{what}: {e.error_code}: {e}"
    else:
        assert allowed, f"{what}: not refused"


with mlflow.start_run(log_system_metrics=True) as run:
    assert run.info.run_id == own, run.info
    assert run.info.experiment_id == experiment
    mlflow.log_param("lr", 0.1)
    for step in range(5):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
    mlflow.log_metrics({"f1": 0.5, "auc": 0.75})
    mlflow.set_tag("team", "risk")
    mlflow.log_text("a plot", "plots/plot.txt")
    os.makedirs("outputs", exist_ok=True)
    with open("outputs/model.txt", "w") as f:
        f.write("weights")
    mlflow.log_artifact("outputs/model.txt", "outputs")  # it is collected, too
    with mlflow.start_run(run_name="inner", nested=True):
        mlflow.log_metric("inner", 1)
        with mlflow.start_run(run_name="innermost", nested=True):
            mlflow.log_metric("innermost", 2)
    while client.get_run(own).data.metrics.get("system/disk_usage_percentage") is None:
        time.sleep(0.05)  # the client measures the machine in the background

# Ended for the client; the script goes on, and so does the run.
assert client.get_run(own).info.status == "RUNNING"
client.log_metric(own, "late", 3)

mlflow.set_experiment(os.environ["MLFLOW_EXPERIMENT_NAME"])
with mlflow.start_run(run_name="second") as second:
    mlflow.log_metric("second", 1)
assert second.data.tags["mlflow.parentRunId"] == own, second.data.tags
open_run = client.create_run(experiment, run_name="left open")
client.log_metric(open_run.info.run_id, "m", 4)

names = sorted(r.info.run_name for r in client.search_runs([experiment]) if r.info.run_name != "before" and r.info.run_id != own)
assert names == ["inner", "innermost", "left open", "second"], names
assert own in [r.info.run_id for r in client.search_runs([experiment])]
seen = {e.experiment_id for e in client.search_experiments()}
assert (seen == {experiment}) != allowed, seen
assert ("before" in [r.info.run_name for r in client.search_runs([experiment])]) == allowed

bounded("another experiment", lambda: client.get_experiment(other_experiment))
bounded("another experiment by name", lambda: mlflow.set_experiment(other_experiment))
bounded("a new experiment", lambda: client.create_experiment("new"))
bounded("a run of another experiment", lambda: client.create_run(other_experiment))
bounded("another run", lambda: client.get_run(other_run))
bounded("a metric of another run", lambda: client.log_metric(other_run, "m", 1))
bounded("a parameter of another run", lambda: client.log_param(other_run, "p", 1))
bounded("the history of another run", lambda: client.get_metric_history(other_run, "m"))
bounded("the end of another run", lambda: client.set_terminated(other_run))
bounded("a child of another run", lambda: client.create_run(experiment, tags={"mlflow.parentRunId": other_run}))
bounded("a search elsewhere", lambda: client.search_runs([experiment, other_experiment]))
bounded("its experiment's name", lambda: client.rename_experiment(experiment, "renamed"))
bounded("deleting another run", lambda: client.delete_run(other_run))
