"""Makes data with MLflow's own client, and tells all that it finds.

store.py make URI    makes experiments, runs and models, and then as dump
store.py dump URI    prints all of them as JSON
"""

import hashlib
import json
import logging
import math
import os
import sys
import tempfile
import warnings

warnings.filterwarnings("ignore")

import mlflow  # noqa: E402
from mlflow import MlflowClient  # noqa: E402
from mlflow.entities import (  # noqa: E402
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelOutput,
    Metric,
    Param,
    RunTag,
    ViewType,
)

logging.disable(logging.WARNING)

POINTS = 5000
NAMES = ["plain.txt", "ä ö+&=.txt", "deep/er/a.bin", "deep/empty", "two  spaces", "quote'\".json"]


def folder():
    """A folder of files with odd names."""
    root = tempfile.mkdtemp()
    for i, name in enumerate(NAMES):
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            if not name.endswith("empty"):
                f.write((name * (1 + i * 997)).encode())
    return root


def make(client):
    first = client.create_experiment("churn rates", tags={"team": "a b", "mlflow.note.content": "a note"})
    plain = client.create_experiment("plain")
    top = client.create_run(first, start_time=1700000000123, run_name="top", tags={"mlflow.user": "ann", "x/y": "1"}).info
    log = client.log_batch
    log(top.run_id, params=[Param(f"p{i}", f"v {i}\nü") for i in range(100)], tags=[RunTag(f"t{i}", "x" * i) for i in range(100)])
    client.log_param(top.run_id, "empty", "")
    odd = [float("nan"), float("inf"), float("-inf"), 0.0, -0.0, 1e-300, 1 / 3]
    log(top.run_id, metrics=[Metric("odd/value", v, 1700000000200 + i, i - 3) for i, v in enumerate(odd)])
    for start in range(0, POINTS, 1000):
        log(top.run_id, metrics=[Metric("loss", 1 / (i + 1), 1700000001000 + i, i) for i in range(start, start + 1000)])
    log(top.run_id, metrics=[Metric("same", 1.0, 1700000000300, 0), Metric("same", 1.0, 1700000000301, 0), Metric("same", 2.0, 1700000000300, 0)])
    client.log_inputs(top.run_id, [
        DatasetInput(Dataset("iris", "d1", "local", "/x", schema='{"a": 1}', profile='{"rows": 3}'), [InputTag("mlflow.data.context", "train")]),
        DatasetInput(Dataset("iris", "d2", "http", "http://x/y"), []),
    ])
    client.log_artifacts(top.run_id, folder(), "stuff")
    client.log_text(top.run_id, "at the root", "root.txt")
    child = client.create_run(first, start_time=1700000000500, tags={"mlflow.parentRunId": top.run_id}).info
    grandchild = client.create_run(first, start_time=1700000000400, tags={"mlflow.parentRunId": child.run_id}).info
    client.set_terminated(grandchild.run_id, "KILLED", 1700000003000)
    client.set_terminated(child.run_id, "FAILED", 1700000004000)
    gone = client.create_run(first, start_time=1700000000600, run_name="gone").info
    client.log_metric(gone.run_id, "m", 1, 1700000000700)
    client.delete_run(gone.run_id)
    client.create_run(plain, start_time=1700000000800, run_name="still running")

    model = client.create_logged_model(first, name="forest", source_run_id=top.run_id, tags={"t": "1"}, params={"depth": "2"}, model_type="tree")
    client.log_model_artifacts(model.model_id, folder())
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(top.run_id, [LoggedModelOutput(model.model_id, 5)])
    client.log_metric(top.run_id, "auc", 0.5, 1700000000900, 4, model_id=model.model_id, dataset_name="iris", dataset_digest="d1")
    client.set_terminated(top.run_id, "FINISHED", 1700000005000)

    client.create_registered_model("my model", {"a": "b"}, "what it is")
    client.create_model_version("my model", top.artifact_uri + "/stuff/deep", top.run_id, {"q": "w"}, description="one")
    client.create_model_version("my model", f"runs:/{top.run_id}/stuff", top.run_id)
    client.create_model_version("my model", f"runs:/{top.run_id}/root.txt", top.run_id)
    client.create_model_version("my model", f"models:/{model.model_id}", model_id=model.model_id)
    client.create_model_version("my model", "s3://bucket/somewhere/model")
    client.delete_model_version("my model", "2")
    client.transition_model_version_stage("my model", "1", "Production")
    client.set_registered_model_alias("my model", "best", "3")
    client.create_registered_model("plain-model")
    for text in ["Hello {{name}}", "Good day {{name}}"]:
        client.register_prompt("greeting", text, tags={"tone": text[0]})
    client.set_prompt_alias("greeting", "formal", 2)

    old = client.create_experiment("old")
    client.create_run(old, start_time=1700000006000, run_name="of old")
    client.delete_experiment(old)
    client.rename_experiment(first, "churn")


def number(v):
    if math.isnan(v):
        return "nan"
    if abs(v) >= sys.float_info.max:
        return "inf" if v > 0 else "-inf"
    return v.hex()


def artifacts(client, run_id, path=None):
    found = {}
    for f in client.list_artifacts(run_id, path):
        if f.is_dir:
            found.update(artifacts(client, run_id, f.path))
        else:
            found[f.path] = f.file_size or 0  # a server says nothing of empty ones
    return found


def digests(root):
    found = {}
    for at, _, names in os.walk(root):
        for name in names:
            path = os.path.join(at, name)
            with open(path, "rb") as f:
                found[os.path.relpath(path, root)] = hashlib.sha256(f.read()).hexdigest()
    return found


def pages(ask):
    token = None
    while True:
        page = ask(token)
        yield from page
        token = page.token
        if not token:
            return


def run_of(client, r):
    info = r.info
    files = artifacts(client, info.run_id)
    content = {}
    if files and info.lifecycle_stage == "active":
        content = digests(client.download_artifacts(info.run_id, "", tempfile.mkdtemp()))
    history = {
        key: sorted([m.timestamp, m.step, number(m.value)] for m in client.get_metric_history(info.run_id, key)) for key in r.data.metrics
    }
    return {
        "name": info.run_name, "user": info.user_id, "status": info.status, "start": info.start_time, "end": info.end_time or 0,
        "stage": info.lifecycle_stage, "params": r.data.params, "tags": r.data.tags, "history": history, "files": files, "content": content,
        "latest": {k: number(v) for k, v in r.data.metrics.items()},
        "datasets": sorted(
            [d.dataset.name, d.dataset.digest, d.dataset.source_type, d.dataset.source, d.dataset.schema or "", d.dataset.profile or "",
             {t.key: t.value for t in d.tags}] for d in r.inputs.dataset_inputs),
        "made": sorted([m.model_id, m.step] for m in (r.outputs.model_outputs if r.outputs else [])),
    }


def logged_models(client, ids):
    found = {}
    for m in pages(lambda token: client.search_logged_models(ids, page_token=token)):
        found[m.model_id] = {
            "name": m.name, "type": m.model_type, "run": m.source_run_id, "status": str(m.status), "created": m.creation_timestamp,
            "params": m.params, "tags": m.tags,
            "metrics": sorted([x.key, number(x.value), x.step, x.timestamp, x.run_id, x.dataset_name, x.dataset_digest] for x in m.metrics or []),
        }
    return found


PROMPTS = "tags.`mlflow.prompt.is_prompt` = 'true'"


def both(search, filter=""):
    """What a search finds, and the prompts, which have to be asked for."""
    yield from pages(lambda token: search(filter, page_token=token))
    yield from pages(lambda token: search(f"{filter} AND {PROMPTS}" if filter else PROMPTS, page_token=token))


def registered(client):
    found = {}
    for m in both(client.search_registered_models):
        full = client._get_registry_client().get_registered_model(m.name)  # which the client does for no prompt
        versions = {}
        for v in both(client.search_model_versions, f"name = '{m.name}'"):
            versions[v.version] = {
                "stage": v.current_stage, "description": v.description or "", "run": v.run_id or "", "tags": v.tags, "created": v.creation_timestamp,
                "status": v.status,
            }
        found[m.name] = {"description": m.description or "", "tags": m.tags, "aliases": {k: str(v) for k, v in full.aliases.items()},
                         "created": m.creation_timestamp, "versions": versions}
    return found


def dump(client):
    out = {"experiments": {}, "runs": {}}
    ids = []
    for e in pages(lambda token: client.search_experiments(ViewType.ALL, page_token=token)):
        ids.append(e.experiment_id)
        out["experiments"][e.name] = {"stage": e.lifecycle_stage, "tags": e.tags, "created": e.creation_time}
        for r in pages(lambda token: client.search_runs([e.experiment_id], "", ViewType.ALL, 100, page_token=token)):
            out["runs"][r.info.run_id] = {"experiment": e.name, **run_of(client, r)}
    out["models"] = registered(client)
    out["logged"] = logged_models(client, ids)
    print(json.dumps(out, sort_keys=True))


if __name__ == "__main__":
    what, uri = sys.argv[1:3]
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    client = MlflowClient(uri, uri)
    if what == "make":
        make(client)
    dump(client)
