"""Trains gradient boosting on the Wisconsin diagnostic breast cancer table."""

import argparse
import json
import os

import joblib
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split

parser = argparse.ArgumentParser()
parser.add_argument("--stages", type=int, default=100)
parser.add_argument("--learning-rate", type=float, default=0.1)
parser.add_argument("--seed", type=int, default=7)
args = parser.parse_args()

data = load_breast_cancer()
x_train, x_held, y_train, y_held = train_test_split(
    data.data, data.target, test_size=0.25, random_state=args.seed, stratify=data.target
)
print(f"training on {len(x_train)} rows, {len(x_held)} held out", flush=True)

model = GradientBoostingClassifier(
    n_estimators=args.stages,
    learning_rate=args.learning_rate,
    max_depth=2,
    subsample=0.7,
    random_state=args.seed,
)
model.fit(x_train, y_train)

with open(os.environ.get("AZML_METRICS_FILE", "metrics.jsonl"), "a") as metrics:

    def log(line):
        metrics.write(json.dumps(line) + "\n")

    for name, value in vars(args).items():
        log({"param": name, "value": value})
    for stage, probabilities in enumerate(model.staged_predict_proba(x_held)):
        log({"name": "loss", "value": log_loss(y_held, probabilities), "step": stage})
        accuracy = accuracy_score(y_held, probabilities.argmax(axis=1))
        log({"name": "accuracy", "value": accuracy, "step": stage})
print(f"held-out accuracy {accuracy:.3f}")

os.makedirs("outputs", exist_ok=True)
joblib.dump(model, "outputs/model.joblib")
with open("outputs/holdout.json", "w") as file:
    json.dump({"rows": x_held.tolist(), "labels": y_held.tolist()}, file)
print("wrote outputs/model.joblib and outputs/holdout.json")
