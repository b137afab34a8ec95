"""How MLflow's own client meets access control.

Called with the tracking URI and the tokens of a reader, a contributor, an owner
and one that was revoked. Prints a line for each check, and how many there were.
"""

import os
import sys
import tempfile

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from requests.exceptions import HTTPError

uri, reader, contributor, owner, revoked = sys.argv[1:]
done, failed = 0, 0


def check(what, holds, seen=""):
    global done, failed
    done += 1
    failed += not holds
    print("ok    " if holds else "FAILED", what, seen)


def become(token=None, user=None, password=None):
    """Makes the client send these, as it reads them from its environment."""
    for name, value in [
        ("MLFLOW_TRACKING_TOKEN", token),
        ("MLFLOW_TRACKING_USERNAME", user),
        ("MLFLOW_TRACKING_PASSWORD", password),
    ]:
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


def refused(what, code, call):
    try:
        got = call()
    except MlflowException as e:
        check(what, e.error_code == code, e)
    except HTTPError as e:  # which uploads raise as it is
        check(what, code in str(e), e)
    else:
        check(what, False, f"it was answered: {got}")


def file(text, name="a.txt"):
    path = os.path.join(tempfile.mkdtemp(), name)
    with open(path, "w") as f:
        f.write(text)
    return path


def in_parts(run_id, text):
    """Uploads and downloads a file in parts, and gives what came back."""
    os.environ.update(
        MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD="true",
        MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD="true",
        MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE="1000",
        MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE="1000",
        MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE="1500",
    )
    client.log_artifact(run_id, file(text, "parts.txt"))
    path = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="parts.txt")
    for name in [name for name in os.environ if "MULTIPART" in name]:
        del os.environ[name]
    return open(path).read()


mlflow.set_tracking_uri(uri)
client = MlflowClient()

become()
refused("no token", "UNAUTHENTICATED", client.search_experiments)
become(token="wrong")
refused("a wrong token", "UNAUTHENTICATED", client.search_experiments)
become(token=revoked)
refused("a revoked token", "UNAUTHENTICATED", client.search_experiments)
become(user="anybody", password="wrong")
refused("a wrong password", "UNAUTHENTICATED", client.search_experiments)

become(token=contributor)
mlflow.set_experiment("access")
with mlflow.start_run() as run:
    mlflow.log_metric("loss", 0.5)
    mlflow.log_param("lr", 0.1)
    mlflow.log_artifact(file("hello"))
run_id, experiment_id = run.info.run_id, run.info.experiment_id
check("a contributor logs", client.get_run(run_id).data.metrics == {"loss": 0.5})
text = "".join(map(str, range(2500)))
check("a contributor uploads in parts", in_parts(run_id, text) == text)
become(user="anybody", password=contributor)
check("a contributor uploads in parts, by a password", in_parts(run_id, text * 2) == text * 2)
become(token=contributor)
refused("a contributor deletes no run", "PERMISSION_DENIED", lambda: client.delete_run(run_id))
refused("a contributor deletes no experiment", "PERMISSION_DENIED", lambda: client.delete_experiment(experiment_id))
client.set_tag(run_id, "k", "v")
client.delete_tag(run_id, "k")
check("a contributor takes tags away", "k" not in client.get_run(run_id).data.tags)

for how, credentials in [("a token", {"token": reader}), ("a password", {"user": "anybody", "password": reader})]:
    become(**credentials)
    check(f"a reader reads, by {how}", client.get_run(run_id).data.params == {"lr": "0.1"})
    check(f"a reader searches, by {how}", len(client.search_runs([experiment_id])) == 1)
    path = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="a.txt")
    check(f"a reader downloads, by {how}", open(path).read() == "hello")
    refused(f"a reader logs nothing, by {how}", "PERMISSION_DENIED", lambda: client.log_metric(run_id, "loss", 1))
    refused(f"a reader creates nothing, by {how}", "PERMISSION_DENIED", lambda: client.create_experiment("other"))
    refused(f"a reader uploads nothing, by {how}", "PERMISSION_DENIED", lambda: client.log_artifact(run_id, file("evil")))

become(token=owner)
client.delete_run(run_id)
check("an owner deletes", client.get_run(run_id).info.lifecycle_stage == "deleted")
client.restore_run(run_id)
client.delete_experiment(experiment_id)
check("an owner deletes experiments", client.get_experiment(experiment_id).lifecycle_stage == "deleted")

print(f"{done} checks, {failed} failed, mlflow {mlflow.__version__}")
