"""Runs azureml-inference-server-http for one scoring script, on a socket that is
listened on already, and tells how its start goes. The module is also the
configuration of gunicorn, which that server consists of."""

import os
import sys
import traceback

import azml_monitoring
import azml_script
import azml_worker

PACKAGE = "azureml-inference-server-http"
told = {}
control_socket_disable = True  # it would be one file for all servers of a user


def main(_, answers, setup):
    azml_worker.watch_parent(setup.get("lifeline"))
    told["to"] = answers
    azml_monitoring.install()
    try:
        azml_worker.limit_memory(setup.get("max_memory"))
        server, script = load()
    except azml_script.Unusable as unusable:
        say(failed=True, exception=str(unusable), log=unusable.log)
        sys.exit(azml_worker.INIT_FAILED)
    tells(script, "load_script", "import")
    tells(script, "invoke_init", "init")
    os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
    os.environ.setdefault("WORKER_TIMEOUT", "0")  # who started this has limits
    os.environ["GUNICORN_CMD_ARGS"] = os.environ.get("GUNICORN_CMD_ARGS", "") + " --config python:" + __name__
    sys.argv[1:] = ["--entry_script", setup["entry_script"], "--port", str(setup["port"]), "--worker_count", "1"]
    server.run()


def load():
    try:
        from azureml_inference_server_http import amlserver
        from azureml_inference_server_http.server.user_script import UserScript
    except ImportError as error:
        text = "%s: add %s to the environment" % (error, PACKAGE)
        raise azml_script.Unusable(text, traceback.format_exc()) from error
    return amlserver, UserScript


def say(**head):
    azml_worker.send(told["to"], head)


def tells(script, name, phase):
    """Has a step of the server's start say that it begins, and how it fails."""
    step = getattr(script, name)

    def watched(*args, **kwargs):
        say(phase=phase)
        try:
            return step(*args, **kwargs)
        except BaseException as error:
            cause = getattr(error, "user_ex", error)
            say(failed=True, exception=traceback.format_exception_only(type(cause), cause)[-1].strip())
            raise

    setattr(script, name, watched)


def post_worker_init(_):
    say(ready=True, mode="raw")


def child_exit(_, worker):
    os._exit(azml_worker.INIT_FAILED)  # whoever started the server starts it again, with delays
