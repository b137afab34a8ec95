"""Hosts one scoring script: init() once, then run() for each frame that comes."""

import atexit
import gc
import json
import os
import signal
import struct
import sys
import threading
import traceback
from time import perf_counter_ns

import azml_model
import azml_monitoring
import azml_script
import azml_standins

MARK = 0x617A6631
HEADER = struct.Struct("!III")
NANOSECONDS = struct.Struct("!Q")  # the whole head of a plain answer
PLAIN = {"method": "POST"}  # what a call without a head is
MAX_BODY = 1 << 30
INIT_FAILED = 3
# The contract's words; the log has the rest.
RUN_FAILED = "An unexpected error occurred in %s. Check the logs for more info."
NO_JSON = "An unexpected internal error occurred. Check the logs for more info."


def main(calls, answers, setup):
    os.register_at_fork(before=hold_term, after_in_parent=release_term, after_in_child=begin_child)
    watch_parent(setup.get("lifeline"))
    signal.signal(signal.SIGTERM, end)
    atexit.register(send_collected)
    azml_monitoring.install()
    azml_standins.install()
    try:
        limit_memory(setup.get("max_memory"))
        load = azml_model.load if setup.get("model") else azml_script.load
        script = load(setup, lambda phase: send(answers, {"phase": phase}))
    except azml_script.Unusable as unusable:
        send(answers, {"failed": True, "exception": str(unusable), "log": unusable.log})
        sys.exit(INIT_FAILED)
    gc.collect()
    gc.freeze()  # what the script has loaded stays: the collector need not look at it again
    send(answers, dict(script.describe(), ready=True, wants_id=azml_monitoring.imported()))

    while True:
        header = calls.read(HEADER.size)
        if len(header) < HEADER.size:
            if signal.getsignal(signal.SIGTERM) is end:
                signal.signal(signal.SIGTERM, ignore)  # it would cut off exit handlers
            return  # the server is gone or wants the worker to end
        _, head_length, body_length = HEADER.unpack(header)
        head = json.loads(calls.read(head_length)) if head_length else PLAIN
        body = calls.read(body_length)
        azml_monitoring.request_id = head.get("id", "")
        for answer_head, answer_body in answer(script, head, body):
            if forked.is_set():
                os._exit(0)  # a child that run() forked and let return
            send(answers, answer_head, answer_body)
        del head, body, answer_head, answer_body


def limit_memory(most):
    if not most:
        return
    if not sys.platform.startswith("linux"):
        raise azml_script.Unusable("a limit of memory needs Linux")
    import resource

    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


forked = threading.Event()


held = threading.local()


def hold_term():
    """A signal to a child that has just begun would be lost, as Python forgets it then."""
    held.mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def release_term():
    signal.pthread_sigmask(signal.SIG_SETMASK, held.mask)


def begin_child():
    forked.set()
    if signal.getsignal(signal.SIGTERM) is end:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    release_term()


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
    if "batch" in head:
        return [answer_batch(script, head["batch"], body)]
    try:
        arguments = script.arguments(head, body)
    except azml_script.Refusal as refusal:
        return [message(refusal.status, refusal.text)]
    started = perf_counter_ns()
    try:
        value = script.run(**arguments)
    except azml_script.Refusal as refusal:
        return [message(refusal.status, refusal.text)]
    except MemoryError as error:
        traceback.clear_frames(error.__traceback__)  # what its frames hold is needed now
        log = "Out of memory in run():\n" + azml_script.user_traceback()
        return [message(500, "The %s ran out of memory." % script.what, log, failed=True)]
    except Exception:
        log = "Exception in run():\n" + azml_script.user_traceback()
        return [message(500, RUN_FAILED % script.what, log, failed=True)]
    elapsed = max(perf_counter_ns() - started, 1)
    if value is not None and is_response(value):
        return response_frames(value, elapsed)
    return [json_frame(value, elapsed)]


def answer_batch(script, lengths, body):
    """The frame with the answers to several requests, by one call of run_batch(). When
    that fails as a whole there are none, and each request is sent by itself."""
    inputs, answers, at = [], [], 0
    for length in lengths:
        try:
            inputs.append(script.plain_input(PLAIN, body[at : at + length]))
            answers.append(None)
        except azml_script.Refusal as refusal:
            answers.append(message(refusal.status, refusal.text))
        at += length
    started = perf_counter_ns()
    try:
        values = list(script.run_batch(inputs)) if inputs else []
        if len(values) != len(inputs):
            raise ValueError("run_batch() gave %d answers to %d inputs" % (len(values), len(inputs)))
    except Exception as error:
        if isinstance(error, MemoryError):
            traceback.clear_frames(error.__traceback__)  # what they hold is needed now
        return {"failed": True, "status": 500, "log": "Exception in run_batch():\n" + azml_script.user_traceback()}, b""
    elapsed = max(perf_counter_ns() - started, 1)
    values = iter(values)
    answers = [part(script, next(values), elapsed) if answer is None else answer for answer in answers]
    heads = [dict(head, length=len(text)) for head, text in answers]
    return {"status": 200, "batch": heads, "ns": elapsed}, b"".join(text for _, text in answers)


def part(script, value, elapsed):
    """The answer to one of a batch: an exception as value is its failure."""
    if isinstance(value, Exception):
        log = "run_batch() gave an exception:\n" + "".join(traceback.format_exception(type(value), value, value.__traceback__))
        return message(500, RUN_FAILED % script.what, log, failed=True)
    if value is not None and is_response(value):
        head, text = {}, b""
        for more, piece in response_frames(value, elapsed):
            head, text = dict(more, **head), text + piece
        return dict(head, more=False), text
    head, text = json_frame(value, elapsed)
    return (head if isinstance(head, dict) else {"status": 200, "json": True, "ns": elapsed}), text


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
            NO_JSON,
            "run() returned a %s that JSON can't hold (%s: %s). Return plain lists, dicts, numbers and strings: "
            "for a numpy array value.tolist(), for a data frame value.to_dict()."
            % (type(value).__name__, type(error).__name__, error),
        )
    if len(body) > MAX_BODY:
        return message(500, "The scoring script's answer is too large.", "run() returned %d bytes of JSON." % len(body))
    return NANOSECONDS.pack(elapsed), body


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
