"""Registered models, their versions, aliases and stages."""

import os
import tempfile
import time

import mlflow
from mlflow.entities import Dataset, DatasetInput, InputTag
from mlflow.exceptions import MlflowException

from checking import check, equal, refused, section, unique


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
