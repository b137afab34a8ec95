"""Hosts one scoring script: init() once, then run() for each frame that comes."""

import atexit
import json
import os
import signal
import struct
import sys
import threading
from time import perf_counter_ns

import azml_script
import azml_standins

MARK = 0x617A6631
HEADER = struct.Struct("!III")
MAX_BODY = 1 << 30
INIT_FAILED = 3


def main(calls, answers, setup):
    pid = os.getpid()
    watch_parent(setup.get("lifeline"))
    signal.signal(signal.SIGTERM, end)
    atexit.register(send_collected)
    azml_standins.install()
    try:
        script = azml_script.load(setup, lambda phase: send(answers, {"phase": phase}))
    except azml_script.Unusable as unusable:
        send(answers, {"failed": True, "exception": str(unusable), "log": unusable.log})
        sys.exit(INIT_FAILED)
    send(answers, dict(script.describe(), ready=True))

    while True:
        header = calls.read(HEADER.size)
        if len(header) < HEADER.size:
            if signal.getsignal(signal.SIGTERM) is end:
                signal.signal(signal.SIGTERM, ignore)  # it would cut off exit handlers
            return  # the server is gone or wants the worker to end
        _, head_length, body_length = HEADER.unpack(header)
        head = json.loads(calls.read(head_length))
        body = calls.read(body_length)
        for answer_head, answer_body in answer(script, head, body):
            if os.getpid() != pid:
                os._exit(0)  # a child that run() forked and let return
            send(answers, answer_head, answer_body)
        del head, body, answer_head, answer_body


def send_collected():
    """Lets azureml-ai-monitoring, if the script uses it, send what it has queued."""
    monitoring = sys.modules.get("azureml.ai.monitoring.init")
    if monitoring:
        monitoring.teardown(wait_for_flush=True)


def end(*_):
    signal.signal(signal.SIGTERM, ignore)
    sys.exit(0)


def ignore(*_):
    """Unlike SIG_IGN this is not passed on to programs that exit handlers start."""


def send(answers, head, body=b""):
    if isinstance(head, dict):
        head = json.dumps(head).encode("ascii")
    frame = HEADER.pack(MARK, len(head), len(body)) + head
    if len(body) <= 65536:
        write(answers, frame + body)
    else:
        write(answers, frame)
        write(answers, memoryview(body))


def write(fd, data):
    while data:
        written = os.write(fd, data)
        data = data[written:]


def watch_parent(lifeline):
    """Ends the whole process group when the other end of the pipe closes, which
    happens when the server's process is gone, however it ended."""
    if lifeline is None:
        return
    os.set_inheritable(lifeline, False)
    if sys.platform.startswith("linux"):
        # The kernel sends the signal, so it comes even when C code holds the interpreter.
        import fcntl
        import select

        fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
        if select.select([lifeline], [], [], 0)[0]:
            os._exit(0)  # it closed before the signal was asked for
        return

    def wait():
        os.read(lifeline, 1)
        os.killpg(os.getpgrp(), signal.SIGKILL)

    threading.Thread(target=wait, name="azml-lifeline", daemon=True).start()


def answer(script, head, body):
    """Yields the frames that answer one call."""
    try:
        arguments = script.arguments(head, body)
    except azml_script.Refusal as refusal:
        return [message(refusal.status, refusal.text)]
    started = perf_counter_ns()
    try:
        value = script.run(**arguments)
    except Exception:
        log = "Exception in run():\n" + azml_script.user_traceback()
        return [message(500, "The scoring script raised an exception. Its log has the details.", log, failed=True)]
    elapsed = max(perf_counter_ns() - started, 1)
    if value is not None and is_response(value):
        return response_frames(value, elapsed)
    return [json_frame(value, elapsed)]


def message(status, text, log="", failed=False):
    head = {"status": status, "failed": failed, "headers": [["Content-Type", "application/json"]]}
    if log:
        head["log"] = log
    return head, (json.dumps({"message": text}).encode("ascii") if text else b"")


def json_frame(value, elapsed):
    try:
        body = b"{}" if value is None else json.dumps(value).encode("ascii")
    except Exception as error:
        return message(
            500,
            "The scoring script's answer can't be written as JSON. Its log has the details.",
            "run() returned a %s that JSON can't hold (%s: %s). Return plain lists, dicts, numbers and strings: "
            "for a numpy array value.tolist(), for a data frame value.to_dict()."
            % (type(value).__name__, type(error).__name__, error),
        )
    if len(body) > MAX_BODY:
        return message(500, "The scoring script's answer is too large.", "run() returned %d bytes of JSON." % len(body))
    return b'{"status":200,"json":true,"ns":%d}' % elapsed, body


def is_response(value):
    return hasattr(value, "status_code") and hasattr(value, "headers") and hasattr(value, "get_data")


def response_frames(value, elapsed):
    """Yields the frames of a framework's response object, streamed ones piece by piece."""
    try:
        head = {
            "status": int(value.status_code),
            "headers": [[str(k), str(v)] for k, v in value.headers.items()],
            "failed": value.status_code >= 500,
            "ns": elapsed,
        }
        if not getattr(value, "is_streamed", False):
            yield head, value.get_data()
            return
        yield dict(head, more=True), b""
        for piece in value.iter_encoded():
            for start in range(0, len(piece), 1 << 20):
                yield {"more": True}, piece[start : start + (1 << 20)]
        yield {"more": False}, b""
    except Exception:
        yield {"broken": True, "log": "Exception in run()'s response object:\n" + azml_script.user_traceback()}, b""
    finally:
        getattr(value, "close", lambda: None)()
