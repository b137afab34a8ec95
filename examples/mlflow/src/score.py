"""Answers requests of the form {"rows": [[30 numbers], ...]} with the rows' classes."""

import json
import os

import mlflow
import pandas


def init():
    global model, columns
    model = mlflow.pyfunc.load_model(os.environ["AZUREML_MODEL_DIR"])
    columns = model.metadata.get_input_schema().input_names()


def run(data):
    rows = pandas.DataFrame(json.loads(data)["rows"], columns=columns)
    return model.predict(rows).tolist()
