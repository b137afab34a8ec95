"""Uses its secret, and says it in every way that a careless script may."""
import base64
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request


def secret(name):
    return urllib.request.urlopen(urllib.request.Request(os.environ["AZML_SECRETS_URL"] + name, headers={"Authorization": "Bearer " + os.environ["AZML_SECRETS_TOKEN"]})).read().decode()


def refused(name, token):
    try:
        urllib.request.urlopen(urllib.request.Request(os.environ["AZML_SECRETS_URL"] + name, headers={"Authorization": "Bearer " + token}))
    except urllib.error.HTTPError as e:
        return e.code


password = secret("DB-Password")
with open(os.environ["BEGAN"] + ".tmp", "w") as f:
    json.dump({"digest": __import__("hashlib").sha256(password.encode()).hexdigest(), "pid": os.getpid(),
               "other": refused("other", os.environ["AZML_SECRETS_TOKEN"]), "token": refused("db-password", "wrong")}, f)
half = len(password) // 2
sys.stdout.write("whole " + password + "\nhalves " + password[:half])
sys.stdout.flush()
with open("logs/own.txt", "w") as log:
    log.write("log " + password[:half])
    log.flush()
    with open(os.environ["AZML_METRICS_FILE"], "a") as metrics:
        for line in [{"param": "pw", "value": password}, {"tag": "pw", "value": "x" + password}, {"name": "text", "value": password}, {"name": "loss", "value": 0.5}]:
            metrics.write(json.dumps(line) + "\n")
        metrics.write("no JSON: " + password + "\n")
    os.rename(os.environ["BEGAN"] + ".tmp", os.environ["BEGAN"])
    while not os.path.exists(os.environ["BEGAN"] + ".go"):
        time.sleep(0.02)
    log.write(password[half:] + " end\n")
sys.stdout.write(password[half:] + "\nbase64 " + base64.b64encode(password.encode()).decode() + "\nurl " + urllib.parse.quote(password, safe="") + "\njson " + json.dumps(password) + "\n")
uri = os.environ["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/runs/"
for path, message in [("log-parameter", {"key": "mlflow-pw", "value": password}), ("set-tag", {"key": "note", "value": "is " + password})]:
    message["run_id"] = os.environ["MLFLOW_RUN_ID"]
    urllib.request.urlopen(urllib.request.Request(uri + path, json.dumps(message).encode(), {"Authorization": "Bearer " + os.environ["MLFLOW_TRACKING_TOKEN"], "Content-Type": "application/json"})).read()
raise ValueError("can't sign in with " + password)
