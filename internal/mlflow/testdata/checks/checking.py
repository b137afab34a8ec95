"""What the checks are made with. Each prints one line."""

import time

from mlflow.exceptions import MlflowException

SECTIONS = {}
COUNT = {"made": 0, "failed": 0}


def section(f):
    SECTIONS[f.__name__] = f
    return f


def check(what, holds, seen=""):
    COUNT["made"] += 1
    if holds:
        print(f"ok: {what}", flush=True)
    else:
        COUNT["failed"] += 1
        print(f"FAILED: {what}: {seen!r}", flush=True)


def equal(what, got, want):
    check(what, got == want, got if got != want else "")


def refused(what, call, code, text=""):
    try:
        call()
    except MlflowException as e:
        check(f"{what}: code", e.error_code == code, e.error_code)
        check(f"{what}: text", text in str(e), str(e))
    else:
        check(what, False, "not refused")


def unique(name):
    return f"{name}-{time.time_ns()}"
