"""Answers requests of the form {"rows": [[30 numbers], ...]} with the rows' classes."""

import json
import os

import joblib


def init():
    global model
    model = joblib.load(os.path.join(os.environ["AZUREML_MODEL_DIR"], "model.joblib"))


def run(data):
    return model.predict(json.loads(data)["rows"]).tolist()
