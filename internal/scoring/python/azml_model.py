"""Serves a model by what it is, without a scoring script: one of MLflow's, or one
of scikit-learn's in a pickle."""

import importlib
import json
import os
import sys
import traceback

from azml_script import Refusal, guarded, query_parameters


def load(setup, enter):
    """Loads the model. enter names each phase as it begins."""
    kind, need = {"mlflow": (MLflow, "mlflow.pyfunc.scoring_server"), "sklearn": (Sklearn, "sklearn")}[setup["model"]]
    enter("import")
    if sys.path and sys.path[0] == "":
        del sys.path[0]
    guarded("the model's environment can't import %s" % need, importlib.import_module, need)
    enter("init")
    return guarded("the model can't be loaded", kind, setup["model_path"])


class Answer:
    """An answer with its own status, as the worker sends it."""

    def __init__(self, status, content_type, text):
        self.status_code, self.headers, self.text = status, {"Content-Type": content_type}, text

    def get_data(self):
        return self.text.encode("utf-8")


class Model:
    """What both kinds have: they get a call as it came."""

    mode = "model"
    what = "model"

    def arguments(self, head, body):
        return {"head": head, "body": body}

    def predicted(self, method, *arguments, **more):
        """What a method of the model gives. Data that the model refuses are the client's."""
        try:
            return method(*arguments, **more)
        except (ValueError, TypeError) as error:
            traceback.print_exc()
            raise Refusal(400, "The model can't use the data. %s The log has the details." % self.wants()) from error

    def input(self, head, body):
        """The JSON value of a call of /score, an object with the data under a name."""
        if head["method"] == "GET":
            value = query_parameters(head.get("query", ""))
        else:
            try:
                value = json.loads(body)
            except (ValueError, RecursionError) as error:
                raise Refusal(400, "The body is not JSON: %s" % error) from None
        if isinstance(value, list):
            value = {"data": value}
        if not isinstance(value, dict):
            raise Refusal(400, "The body is neither an object nor a list.")
        return value


class Sklearn(Model):
    """Azure ML's form for such models: {"data": rows, "method": "predict"}."""

    methods = ("predict", "predict_proba", "predict_log_proba", "decision_function", "transform", "score_samples")

    def __init__(self, path):
        try:
            from joblib import load
        except ImportError:
            import pickle

            def load(path):
                with open(path, "rb") as file:
                    return pickle.load(file)

        self.model = load(path)

    def describe(self):
        return {"mode": self.mode}

    def run(self, head, body):
        value = self.input(head, body)
        method = value.get("method", "predict")
        if method not in self.methods or not hasattr(self.model, method):
            there = [name for name in self.methods if hasattr(self.model, name)]
            raise Refusal(400, "The model has no method %.40r: use %s." % (method, " or ".join(there)))
        found = self.predicted(getattr(self.model, method), self.rows(value))
        found = found.toarray() if hasattr(found, "toarray") else found  # a sparse matrix
        return {method: found.tolist()}

    def wants(self):
        columns = getattr(self.model, "n_features_in_", None)
        return "It takes one or more rows%s." % (" of %d values" % columns if columns else "")

    def rows(self, value):
        data = value.get("data", value.get("input_data"))
        if data is None:
            raise Refusal(400, 'Give the rows as {"data": [[…], …]}.')
        try:
            if isinstance(data, dict):
                from pandas import DataFrame

                return DataFrame(data["data"], columns=data.get("columns"), index=data.get("index"))
            if data and isinstance(data[0], dict):
                from pandas import DataFrame

                return DataFrame(data)
            from numpy import array

            return array(data)
        except (ValueError, TypeError, KeyError) as error:
            raise Refusal(400, "The data are no table: %s" % error) from None


class MLflow(Model):
    """MLflow's /invocations by MLflow's own code of the model's environment, and Azure
    ML's form at /score: {"input_data": {"columns": […], "data": [[…], …]}}."""

    def __init__(self, path):
        os.environ["_MLFLOW_IS_IN_SERVING_ENVIRONMENT"] = "true"
        from mlflow import pyfunc
        from mlflow.pyfunc import scoring_server
        from mlflow.exceptions import MlflowException
        from mlflow.version import VERSION

        self.server, self.failure, self.version = scoring_server, MlflowException, VERSION
        self.model = pyfunc.load_model(path)
        self.schema = self.model.metadata.get_input_schema()

    def describe(self):
        return {"mode": self.mode, "mlflow": self.version}

    def run(self, head, body):
        if head.get("path") == "/invocations":
            return self.invocations(head, body)
        return self.score(self.input(head, body))

    def invocations(self, head, body):
        try:
            got = self.server.invocations(body, head.get("content_type", ""), self.model, self.schema)
        except self.failure as error:
            traceback.print_exc()
            said = json.loads(error.serialize_as_json())
            said.pop("stack_trace", None)  # it is in the log, and not the client's business
            return Answer(error.get_http_status_code(), "application/json", json.dumps(said))
        kind = got.mimetype
        return Answer(got.status, kind + "; charset=utf-8" if kind.startswith("text/") else kind, got.response)

    def score(self, value):
        from mlflow.utils.proto_json_utils import NumpyEncoder, _get_jsonable_obj

        params = value.pop("params", None)
        try:
            data = self.parsed(value)
            found = self.predicted(self.model.predict, data, **({"params": params} if params else {}))
        except self.failure as error:
            if error.get_http_status_code() >= 500:
                raise
            raise Refusal(400, error.message) from None
        return Answer(200, "application/json", json.dumps(_get_jsonable_obj(found, pandas_orient="records"), cls=NumpyEncoder))

    def wants(self):
        return "Verify that they are compatible with it."

    def parsed(self, value):
        """What the model is given for the data of a call."""
        for name in ("input_data", "data", "inputs"):
            if name in value:
                data = value[name]
                break
        else:
            if any(name in value for name in self.server.SUPPORTED_FORMATS):
                return self.server.infer_and_parse_data(value, self.schema)
            raise Refusal(400, 'Give the data as {"input_data": {"columns": […], "data": [[…], …]}}.')
        table = self.schema is None or not self.schema.is_tensor_spec()
        if isinstance(data, dict) and "data" in data:
            return self.server.infer_and_parse_data({"dataframe_split": data}, self.schema)
        if table and isinstance(data, dict) and all(isinstance(column, list) for column in data.values()):
            rows = [list(row) for row in zip(*data.values())]
            return self.server.infer_and_parse_data({"dataframe_split": {"columns": list(data), "data": rows}}, self.schema)
        if table and isinstance(data, list) and data and isinstance(data[0], dict):
            return self.server.infer_and_parse_data({"dataframe_records": data}, self.schema)
        if table and self.schema is not None and isinstance(data, list):
            return self.server.infer_and_parse_data({"dataframe_split": self.split(data)}, self.schema)
        return self.server.infer_and_parse_data({"inputs": data}, self.schema)

    def split(self, rows):
        """Rows without names, by the names that the model has for them."""
        names = self.schema.input_names() if self.schema.has_input_names() else None
        rows = [row if isinstance(row, list) else [row] for row in rows]
        if names and any(len(row) != len(names) for row in rows):
            raise Refusal(400, "Each row must have the %d values of the columns %s." % (len(names), ", ".join(map(str, names))))
        return {"columns": names, "data": rows} if names else {"data": rows}
