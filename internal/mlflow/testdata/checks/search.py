"""Searches of runs and experiments."""

import math

import mlflow
from mlflow.entities import Metric, Param

from checking import equal, refused, section, unique


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


@section
def search_datasets(client):
    from mlflow.entities import Dataset, DatasetInput, InputTag

    def used(name, digest, context):
        return DatasetInput(Dataset(name, digest, "local", "{}"), [InputTag("mlflow.data.context", context)] if context else [])

    key = client.create_experiment(unique("datasets"))
    place = client.create_experiment(unique("place"), artifact_location="s3://bucket/the place")
    ids = []
    for i, (experiment, datasets) in enumerate([
        (key, []),
        (key, [used("iris", "1", "train")]),
        (key, [used("iris", "2", "train"), used("wine", "1", "eval")]),
        (key, [used("wine", "2", None)]),
        (place, [used("iris", "1", "eval")]),
    ]):
        run = client.create_run(experiment, start_time=1700000000000 + i).info
        ids.append(run.run_id)
        client.log_inputs(run.run_id, datasets)

    def found(filter, experiments=(key, place)):
        return [ids.index(r.info.run_id) for r in client.search_runs(list(experiments), filter, order_by=["start_time ASC"])]

    for filter, want in {
        "datasets.name = 'iris'": [1, 2, 4],
        "dataset.name = 'iris' and dataset.digest = '1'": [1, 2, 4],
        "datasets.name = 'iris' and datasets.context = 'eval'": [2, 4],
        "datasets.name != 'iris'": [2, 3],
        "datasets.digest != '1'": [2, 3],
        "datasets.name LIKE 'w%'": [2, 3],
        "datasets.name ILIKE 'IR_S'": [1, 2, 4],
        "datasets.digest IN ('2', '3')": [2, 3],
        "datasets.name NOT IN ('wine')": [1, 2, 4],
        "datasets.context = 'train'": [1, 2],
        "datasets.context LIKE '%'": [1, 2, 4],
        "datasets.name = 'none'": [],
    }.items():
        equal(f"search datasets: {filter}", found(filter), want)
    uris = [client.get_run(id).info.artifact_uri for id in ids]
    root = uris[0].rsplit("/", 2)[0]
    for filter, want in {
        f"artifact_uri = '{uris[1]}'": [1],
        f"attributes.artifact_uri != '{uris[1]}'": [0, 2, 3, 4],
        f"artifact_uri = '{uris[1]}/x'": [],
        "artifact_uri LIKE 's3://bucket/%'": [4],
        f"artifact_uri LIKE '{root}/%'": [0, 1, 2, 3],
        f"artifact_uri LIKE '%{ids[2]}%'": [2],
        "artifact_uri LIKE '%/artifacts'": [0, 1, 2, 3, 4],
        "artifact_uri ILIKE 'S3://BUCKET/THE PLACE/%/ARTIFACTS'": [4],
        "artifact_uri LIKE '%/artifacts/'": [],
    }.items():
        equal(f"search: {filter[:50]}", found(filter), want)
    by_uri = lambda order, **more: [r.info.run_id for r in client.search_runs([key], order_by=[order], **more)]
    equal("search: ordered by artifact_uri", by_uri("artifact_uri"), sorted(ids[:4]))
    equal("search: ordered by artifact_uri, descending", by_uri("attributes.artifact_uri DESC"), sorted(ids[:4], reverse=True))
    equal("search: ordered by artifact_uri, of two experiments", [r.info.run_id for r in client.search_runs([place, key], order_by=["artifact_uri"])], sorted(ids[:4]) + ids[4:])
    equal("search: ordered by artifact_uri, some of them", by_uri("artifact_uri", filter_string="datasets.name = 'wine'"), sorted(ids[2:4]))
    refused("search datasets: another key", lambda: found("datasets.colour = 'x'"), "INVALID_PARAMETER_VALUE")
    refused("search datasets: order", lambda: client.search_runs([key], order_by=["datasets.name"]), "INVALID_PARAMETER_VALUE")


@section
def statuses(client):
    id = client.create_run(client.create_experiment(unique("statuses"))).info.run_id
    for status in ["SCHEDULED", "RUNNING", "SCHEDULED", "FINISHED", "SCHEDULED", "KILLED", "FAILED", "RUNNING", "FINISHED"]:
        client.update_run(id, status=status)
        equal(f"statuses: {status}", client.get_run(id).info.status, status)
