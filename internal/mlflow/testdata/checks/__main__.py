"""What MLflow's own client gets from a server of azml, by its public API.

Called with the tracking URI and the names of the sections to run, all by
default. Prints a line for each check and each section, and how many checks there
were; fails when one has.
"""

import sys
import time
import traceback

import mlflow
from mlflow import MlflowClient

import artifacts  # noqa: F401  (each module adds its sections)
import fluent  # noqa: F401
import models  # noqa: F401
import registry  # noqa: F401
import search  # noqa: F401
import tracking  # noqa: F401
from checking import COUNT, SECTIONS, check

mlflow.set_tracking_uri(sys.argv[1])
for name in sys.argv[2:] or SECTIONS:
    begun = time.time()
    try:
        SECTIONS[name](MlflowClient())
    except Exception:
        check(f"section {name} ends", False, traceback.format_exc())
    print(f"{name}: {time.time() - begun:.1f} s", flush=True)
print(f"{COUNT['made']} checks, {COUNT['failed']} failed, mlflow {mlflow.__version__}")
sys.exit(COUNT["failed"] > 0)
