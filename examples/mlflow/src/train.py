"""Trains gradient boosting on the Wisconsin diagnostic breast cancer table.

Plain MLflow and scikit-learn, as it runs against any MLflow server: there is
nothing in it of where it runs, and what it logs goes where MLFLOW_TRACKING_URI
leads.
"""

import argparse

import mlflow
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split

parser = argparse.ArgumentParser()
parser.add_argument("--stages", type=int, default=100)
parser.add_argument("--model-name", required=True)
args = parser.parse_args()

data = load_breast_cancer(as_frame=True)
x_train, x_held, y_train, y_held = train_test_split(data.data, data.target, test_size=0.25, random_state=7, stratify=data.target)

mlflow.sklearn.autolog(log_models=False)
with mlflow.start_run():
    model = GradientBoostingClassifier(n_estimators=args.stages, max_depth=2, subsample=0.7, random_state=7)
    model.fit(x_train, y_train)  # autologging: parameters, training metrics, the dataset

    for stage, probabilities in enumerate(model.staged_predict_proba(x_held)):
        mlflow.log_metric("held_out_loss", log_loss(y_held, probabilities), step=stage)
        accuracy = accuracy_score(y_held, probabilities.argmax(axis=1))
        mlflow.log_metric("held_out_accuracy", accuracy, step=stage)
    print(f"held-out accuracy {accuracy:.3f}")

    with mlflow.start_run(run_name="a single stump", nested=True):
        stump = GradientBoostingClassifier(n_estimators=1, max_depth=1, random_state=7).fit(x_train, y_train)
        mlflow.log_metric("held_out_accuracy", stump.score(x_held, y_held))

    mlflow.log_dict({"columns": list(x_held.columns), "rows": x_held.values.tolist(), "labels": y_held.tolist()}, "holdout.json")
    mlflow.sklearn.log_model(
        model, name="model", serialization_format="cloudpickle", registered_model_name=args.model_name, input_example=x_held.head(2)
    )
print("logged and registered the model")
