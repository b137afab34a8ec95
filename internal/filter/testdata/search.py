"""Answers searches by MLflow's own code: JSON in, JSON out."""
import json
import sys

from mlflow.entities import Metric, Param, Run, RunData, RunInfo, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.search_utils import SearchUtils


def run(row):
    info = RunInfo(run_id=row["id"], experiment_id="0", user_id="u", status=row["status"], start_time=row["start"],
                   end_time=row.get("end"), lifecycle_stage="active", run_name=row["name"])
    data = RunData([Metric(k, float(v), 0, 0) for k, v in row["metrics"].items()],
                   [Param(k, v) for k, v in row["params"].items()], [RunTag(k, v) for k, v in row["tags"].items()])
    return Run(info, data)


def answer(runs, query):
    try:
        found = SearchUtils.filter(runs, query["filter"])
        return {"ids": [r.info.run_id for r in SearchUtils.sort(found, query["order"])]}
    except MlflowException as e:
        return {"error": str(e)}


request = json.load(sys.stdin)
runs = [run(row) for row in request["runs"]]
json.dump([answer(runs, q) for q in request["queries"]], sys.stdout)
