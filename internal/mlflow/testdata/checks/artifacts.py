"""Artifacts: files of runs."""

import os
import tempfile
from unittest import mock

import mlflow
import requests

from checking import check, equal, section, unique


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
def artifacts_in_parts(client):
    id = client.create_run(client.create_experiment(unique("parts"))).info.run_id
    settings = {
        "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "true",
        "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "true",
        "MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE": "1000000",
        "MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE": "1000000",
        "MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE": "3000000",
    }
    with tempfile.TemporaryDirectory() as tmp, mock.patch.dict(os.environ, settings):
        path = os.path.join(tmp, "big ü.bin")
        big = os.urandom(12_345_678)
        with open(path, "wb") as f:
            f.write(big)
        with mock.patch.object(requests, "put", wraps=requests.put) as put:
            client.log_artifact(id, path, "sub folder")
            equal("parts: sent", put.call_count, 13)
        equal("parts: one file", [(f.path, f.file_size) for f in client.list_artifacts(id, "sub folder")], [("sub folder/big ü.bin", len(big))])
        out = client.download_artifacts(id, "sub folder/big ü.bin", tempfile.mkdtemp(dir=tmp))
        equal("parts: downloaded in ranges", open(out, "rb").read() == big, True)
        with mock.patch.object(requests, "put", side_effect=[requests.ConnectionError("cut off")] * 13):
            try:
                client.log_artifact(id, path)
                check("parts: cut off", False)
            except Exception as e:
                check("parts: cut off", "cut off" in str(e), str(e))
        equal("parts: nothing of what was cut off", [f.path for f in client.list_artifacts(id)], ["sub folder"])
        with open(path, "wb") as f:
            f.write(b"small")
        client.log_artifact(id, path, "sub folder")
        out = client.download_artifacts(id, "sub folder/big ü.bin", tempfile.mkdtemp(dir=tmp))
        equal("parts: a small file in one piece", open(out, "rb").read(), b"small")
