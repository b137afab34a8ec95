"""What scoring scripts import as azureml.monitoring, Azure ML's first package for
collecting model data: it sends rows to the endpoint instead of a storage account."""

import atexit
import collections
import json
import os
import sys
import threading

import azml_standins

PACKAGE, MODULE = "azureml.monitoring", "azureml.monitoring.modeldatacollector"
PATH, HEADER = "/modeldata/rows", "Azml-Rows"
DESIGNATIONS = ("inputs", "predictions", "labels", "signals", "general")
NO_REQUEST = "00000000-0000-0000-0000-000000000000"
MAX_ROWS = 4 << 20  # what the endpoint takes at once
ROOM = 16 << 20
COUNTED = 503  # the answer for rows that the endpoint counts as dropped itself
PATIENCE = 3  # seconds, for what is queued when the process ends

request_id = ""  # of the call under way; the worker sets it


def install():
    """Is found before the real package, which needs libraries that systems no longer
    have, and makes calls fail where it can't collect."""
    sys.meta_path.insert(0, azml_standins.Finder((PACKAGE,), {PACKAGE: begin, MODULE: fill}))
    sys.meta_path.append(azml_standins.Finder(("azureml",)))  # where no package has it


def begin(module):
    # All workers have this module, so what only scripts need that collect is imported
    # here, and where it is used; the first call is not to wait for it.
    import csv, datetime, http.client, io, uuid  # noqa: E401, F401

    os.register_at_fork(after_in_child=sender.reset)
    atexit.register(sender.flush)
    fill(module)


def fill(module):
    module.ModelDataCollector = ModelDataCollector


def imported():
    return PACKAGE in sys.modules


class ModelDataCollector:
    """Collects data of one model and designation."""

    AML_DC_CORRELATION_HEADER = "$aml_dc_correlation_id"
    AML_DC_SCORING_TIMESTAMP_HEADER = "$aml_dc_scoring_timestamp"
    AML_DC_BOUNDARY_HEADER = "$aml_dc_boundary"
    AML_WORKSPACE_HEADER = "$aml_workspace"
    AML_SERVICE_NAME_HEADER = "$aml_service_name"
    AML_MODEL_NAME_HEADER = "$aml_model_name"
    AML_MODEL_VERSION_HEADER = "$aml_model_version"
    AML_REQUEST_ID_HEADER = "$aml_request_id"

    def __init__(self, model_name, designation="default", feature_names=None, workspace="default/default/default",
                 webservice_name="default", model_version="default", collection_name="default"):  # fmt: skip
        enabled, versions = settings()
        self.debug = os.environ.get("AML_MODEL_DC_DEBUG", "").lower() == "true"
        self.designation = "general" if designation == "default" else designation
        self.percent = enabled.get(self.designation, 0)
        self.enabled = bool(enabled) or self.debug
        if self.enabled and self.designation not in DESIGNATIONS:
            raise ValueError("designation %r of a ModelDataCollector: use %s" % (designation, ", ".join(DESIGNATIONS)))
        if not self.percent:
            say("%s of the model %r are not collected: deploy with --collect %s" % (self.designation, model_name, self.designation))
        self.feature_names = [] if feature_names is None else [str(name) for name in feature_names]
        self.model = str(model_name)
        self.version = versions.get(self.model, "default") if model_version == "default" else str(model_version)
        self.workspace = os.environ.get("WORKSPACE_NAME", "default") if workspace == "default/default/default" else workspace.rpartition("/")[2]
        self.service = os.environ.get("SERVICE_NAME", "default") if webservice_name == "default" else webservice_name
        self.file = collection_name if self.designation in ("signals", "general") else self.designation

    def collect(self, input_data, user_correlation_id=""):
        """Collects rows. Inputs get an ID, which is in the dictionary that it returns for
        add_correlations."""
        if not self.enabled:
            return None
        request = current_request()
        correlations = self.correlations(request, user_correlation_id) if self.designation == "inputs" else None
        kept = sampled(self.percent, request or unique())
        if not (kept or self.debug):
            return correlations
        try:
            text = table(self.add_correlations(input_data, correlations), self.feature_names)
        except Exception as error:
            sender.lose("%s can't be collected: %s: %s" % (self.designation, type(error).__name__, error))
            return correlations
        if self.debug:
            print(text)
        if kept:
            sender.put(self.describe(request), text.encode("utf-8", "replace"))
        return correlations

    def add_correlations(self, input_data, correlations):
        """Gives the data with the columns that collect() returned for the inputs."""
        if correlations is None:
            return input_data
        values = [correlations[name] for name in HEADERS]
        data = plain(input_data)
        if isinstance(data, list):
            return data + values
        if is_array(data):
            import numpy

            rows = numpy.atleast_2d(data)
            return numpy.append(rows, numpy.array([values] * len(rows), dtype=object), axis=1)
        if not is_frame(data):
            say("correlations can't be added to a %s: give a list, a numpy array, or a data frame" % type(data).__name__)
            return input_data
        data = data.copy(deep=False)
        for name in HEADERS:
            data[name] = correlations[name]
        return data

    def correlations(self, request, user_id):
        own = "%s-%s" % (user_id, unique()) if user_id else unique()
        values = (own, now(), 24 * 60, self.workspace, self.service, self.model, self.version, request or NO_REQUEST)
        return dict(zip(HEADERS, values))

    def describe(self, request):
        return {
            "collection": self.designation, "file": self.file, "workspace": self.workspace, "service": self.service,
            "model": self.model, "version": self.version, "request_id": request or NO_REQUEST, "time": now() + "Z",
        }  # fmt: skip


HEADERS = (
    ModelDataCollector.AML_DC_CORRELATION_HEADER, ModelDataCollector.AML_DC_SCORING_TIMESTAMP_HEADER,
    ModelDataCollector.AML_DC_BOUNDARY_HEADER, ModelDataCollector.AML_WORKSPACE_HEADER,
    ModelDataCollector.AML_SERVICE_NAME_HEADER, ModelDataCollector.AML_MODEL_NAME_HEADER,
    ModelDataCollector.AML_MODEL_VERSION_HEADER, ModelDataCollector.AML_REQUEST_ID_HEADER,
)  # fmt: skip


def settings():
    """The shares of collections, and versions of models, by their names."""
    path = os.environ.get("AZUREML_MDC_CONFIG_PATH")
    if not path or "AZUREML_MDC_PORT" not in os.environ:
        return {}, {}
    with open(path, encoding="utf-8") as file:
        found = json.load(file)
    shares = {name: one.get("sampleRatePercentage", 100) for name, one in found.get("collections", {}).items()}
    return shares, found.get("models") or {}


def current_request():
    """The ID of the request under way, if it is known."""
    flask = sys.modules.get("flask")
    if flask and flask.has_request_context():
        return flask.request.headers.get("x-request-id", "")
    return request_id


def unique():
    import uuid

    return str(uuid.uuid4())


def now():
    import datetime

    return datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None).isoformat()


def sampled(percent, key):
    """Chooses as the endpoint does for request and response, so that they go together:
    FNV-1a with the finalizer of MurmurHash3."""
    if percent >= 100:
        return True
    mask, x = (1 << 64) - 1, 0xCBF29CE484222325
    for byte in key.encode("utf-8", "replace"):
        x = (x ^ byte) * 0x100000001B3 & mask
    x = (x ^ x >> 33) * 0xFF51AFD7ED558CCD & mask
    x = (x ^ x >> 33) * 0xC4CEB9FE1A85EC53 & mask
    x ^= x >> 33
    return (x >> 11) / (1 << 53) * 100 < percent


def plain(data):
    """Spark's frames as those of pandas."""
    return data.toPandas() if hasattr(data, "toPandas") else data


def is_array(data):
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(data, numpy.ndarray)


def is_frame(data):
    return hasattr(data, "to_csv") and hasattr(data, "columns")


def table(data, names):
    """The rows as CSV with a header: a list or an array of one dimension is one row."""
    data = plain(data)
    if is_frame(data):
        return data.to_csv(index=False)
    if is_array(data) and data.ndim:
        rows = [data] if data.ndim == 1 else list(data)
    elif isinstance(data, list):
        rows = [data]
    else:
        raise TypeError("give a list, a numpy array of one dimension or more, or a data frame, not a %s" % type(data).__name__)
    import csv
    import io

    text = io.StringIO()
    csv.writer(text).writerows([header(rows, names), *rows])
    return text.getvalue()


def header(rows, names):
    """Columns without a name are called by their numbers, as Azure ML's datasets do it."""
    width = max(map(len, rows), default=0)
    own = width - len(HEADERS) if rows and correlated(rows[0]) else width
    names = names[:own] + ["Column%d" % (i + 1) for i in range(len(names), own)]
    return names + list(HEADERS[: width - own])


def correlated(row):
    """Tells a row of add_correlations by its time and boundary."""
    tail = [str(value) for value in row[-len(HEADERS) :]]
    return len(tail) == len(HEADERS) and tail[1][10:11] == "T" and tail[2] in ("60", "1440")


said = set()


def say(text):
    """Prints it to the log, once."""
    if text not in said and len(said) < 100:
        said.add(text)
        print("azureml.monitoring: " + text, file=sys.stderr)


class Sender:
    """Sends rows to the endpoint in the background; what finds no room is dropped, and
    counted there."""

    def __init__(self):
        self.reset()

    def reset(self):
        """Begins anew, also in a child process, which has not the thread."""
        self.changed = threading.Condition()
        self.waiting, self.bytes, self.dropped = collections.deque(), 0, 0
        self.thread = self.connection = None

    def put(self, head, body):
        with self.changed:
            if len(body) > MAX_ROWS or self.bytes + len(body) > ROOM:
                return self.lose("there is no room for rows: %d bytes are kept at once, and %d of one call" % (ROOM, MAX_ROWS))
            self.waiting.append((head, body))
            self.bytes += len(body)
            if self.thread is None:
                self.thread = threading.Thread(target=self.run, name="azml-monitoring", daemon=True)
                self.thread.start()
            self.changed.notify_all()

    def lose(self, why, calls=1):
        with self.changed:
            self.dropped += calls
        say(why)

    def run(self):
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.waiting)
                head, body = self.waiting[0]
                head["dropped"], self.dropped = self.dropped, 0
            self.send(head, body)
            with self.changed:
                self.waiting.popleft()
                self.bytes -= len(body)
                self.changed.notify_all()

    def send(self, head, body):
        try:
            status, text = self.post(head, body)
            if status != 200:
                self.lose("the endpoint did not take rows: %s" % text, 0 if status == COUNTED else 1)
        except Exception as error:  # whatever it is, the next ones have their try
            self.connection = None
            self.lose("the endpoint did not take rows: %s" % error, head["dropped"] + 1)

    def post(self, head, body):
        """Posts, on a new connection where there is none, or the kept one was closed."""
        import http.client

        if self.connection:
            try:
                return self.exchange(head, body)
            except ConnectionError:
                pass
        host, port = os.environ["AZUREML_MDC_HOST"], int(os.environ["AZUREML_MDC_PORT"])
        self.connection = http.client.HTTPConnection(host, port, timeout=10)
        return self.exchange(head, body)

    def exchange(self, head, body):
        self.connection.request("POST", PATH, body, {"Content-Type": "text/csv", HEADER: json.dumps(head)})
        answer = self.connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace").strip()

    def flush(self):
        with self.changed:
            self.changed.wait_for(lambda: not self.waiting, PATIENCE)


sender = Sender()
