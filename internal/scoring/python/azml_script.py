"""Loads a scoring script and turns calls into the arguments of its run()."""

import importlib.util
import inspect
import json
import os
import sys
import traceback
from types import ModuleType

import azml_standins


class Unusable(Exception):
    """The script can't serve: the text says why, log has the traceback."""

    def __init__(self, text, log=""):
        super().__init__(text)
        self.log = log


class Refusal(Exception):
    """The client's fault."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status, self.text = status, text


def user_traceback():
    """The current exception without the worker's own frames."""
    kind, error, trace = sys.exc_info()
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith("<azml_"):
        trace = trace.tb_next
    return "".join(traceback.format_exception(kind, error, trace))


def guarded(text, function, *arguments):
    try:
        return function(*arguments)
    except MemoryError as error:
        traceback.clear_frames(error.__traceback__)  # what its frames hold is needed now
        raise Unusable("%s: out of memory" % text, text + ":\n" + user_traceback()) from None
    except BaseException as error:
        said = "%s: %s: %s%s" % (text, type(error).__name__, error, package_hint(error))
        raise Unusable(said, text + ":\n" + user_traceback()) from None


# Packages of Azure ML's by the module below azureml that they have.
AZUREML_PACKAGES = {
    "core": "azureml-core", "data": "azureml-core", "ai": "azureml-ai-monitoring",
    "automl": "azureml-automl-runtime", "interpret": "azureml-interpret",
}  # fmt: skip


def package_hint(error):
    """Says what to do about a module that there is not."""
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return ""
    parts = error.name.split(".") + [""]
    package = AZUREML_PACKAGES.get(parts[1], "its package") if parts[0] == "azureml" else "its package"
    other = ", or find models in the folder that the variable AZUREML_MODEL_DIR names" if parts[1] == "core" else ""
    return "; add %s to the script's environment%s" % (package, other)


def load(setup, enter):
    """Imports the script and calls its init(). enter names each phase as it begins."""
    enter("import")
    if sys.path and sys.path[0] == "":
        del sys.path[0]
    sys.path.insert(0, setup["source_dir"])
    if setup["app_root"] not in sys.path:
        sys.path.append(setup["app_root"])
    module = guarded("the script can't be imported", import_file, setup["entry_script"])
    enter("check")
    script = Script(module)
    enter("init")
    guarded("init() raised an exception", module.init)
    return script


def import_file(path):
    spec = importlib.util.spec_from_file_location("entry_module", path)
    module = sys.modules["entry_module"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Script:
    """A checked script; its mode is plain, schema or raw."""

    what = "scoring script"

    def __init__(self, module):
        for name in ("init", "run"):
            if not callable(getattr(module, name, None)):
                raise Unusable("the script has no function %s(); define init() and run(data)" % name)
        # Scripts that tools generate keep the user's own script in driver_module; its run() is the decorated one.
        inner = getattr(module, "driver_module", None)
        self.run = inner.run if isinstance(inner, ModuleType) and hasattr(inner, "run") else module.run

        parameters = list(inspect.signature(self.run).parameters.values())
        if any(p.kind not in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) for p in parameters):
            raise Unusable("run() can't take *args, **kwargs or positional-only parameters; name each one")
        self.wants_headers = any(p.name == "request_headers" for p in parameters)
        self.parameters = [p for p in parameters if p.name != "request_headers"]
        if not self.parameters:
            raise Unusable("run() takes no parameter for the input; declare it as run(data)")
        self.input = self.parameters[0].name

        schema = sys.modules.get("inference_schema.schema_util")
        self.schema = schema if schema is not None and schema.is_schema_decorated(self.run) else None
        raw = azml_standins.raw_module()
        if raw and self.schema:
            raise Unusable("run() is decorated with both @rawhttp and @input_schema; use one of them")
        self.mode = "raw" if raw else "schema" if self.schema else "plain"
        self.make_request = azml_standins.request_maker(raw)
        self.run_batch = self.checked_batch(inner if self.run is not module.run else module)

    def checked_batch(self, module):
        """Gives run_batch(), if the script has one: it takes a list of what run() gets."""
        run_batch = getattr(module, "run_batch", None)
        if run_batch is None:
            return None
        if not callable(run_batch) or len(inspect.signature(run_batch).parameters) != 1:
            raise Unusable("run_batch() must be a function of one parameter, the list of inputs: run_batch(inputs)")
        if self.mode != "plain" or self.wants_headers or len(self.parameters) != 1:
            raise Unusable("run_batch() goes together with a plain run(data), not with decorators or request_headers")
        return run_batch

    def describe(self):
        facts = {"mode": self.mode, "wants_headers": self.wants_headers or self.mode == "raw", "batch": self.run_batch is not None}
        if self.schema:
            facts["input_schema"] = self.schema.get_input_schema(self.run)
            facts["output_schema"] = self.schema.get_output_schema(self.run)
            facts["versions"] = self.schema.get_supported_versions(self.run)
        return facts

    def arguments(self, head, body):
        """Gives run()'s arguments for a call, or raises a Refusal."""
        if self.mode == "raw":
            arguments = {self.input: self.make_request(head, body)}
        elif head["method"] == "OPTIONS":
            raise Refusal(200, "")
        elif head["method"] not in ("GET", "POST"):
            raise Refusal(405, "Method not allowed")
        elif self.mode == "plain":
            arguments = {self.input: self.plain_input(head, body)}
        else:
            arguments = self.schema_input(head, body)
        if self.wants_headers:
            arguments["request_headers"] = dict(head["headers"])
        return arguments

    def plain_input(self, head, body):
        if head["method"] == "GET":
            return json.dumps(query_parameters(head.get("query", "")))
        try:
            return str(body, "utf-8")
        except UnicodeDecodeError as error:
            raise Refusal(400, "Input cannot be decoded as UTF-8: %s" % error) from None

    def schema_input(self, head, body):
        values = query_parameters(head.get("query", "")) if head["method"] == "GET" else json_object(head, body)
        arguments = {}
        for parameter in self.parameters:
            value = values.get(parameter.name, parameter.default)
            if value is inspect.Parameter.empty:
                raise Refusal(400, "A value is not provided for the %r parameter." % parameter.name)
            arguments[parameter.name] = value
        return arguments


def json_object(head, body):
    kind = head.get("content_type", "").split(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise Refusal(415, "Expects Content-Type to be application/json")
    if not body:
        raise Refusal(400, "POST body is empty. Expecting a JSON dictionary.")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "POST body could not be decoded as JSON: %s" % error) from None
    if not isinstance(value, dict):
        raise Refusal(400, "POST body should be a JSON dictionary.")
    return value


def query_parameters(query):
    """Each value as JSON where it is JSON, else as text; a repeated key as a list."""
    values = {}
    for key, text in azml_standins.query_pairs(query):
        values.setdefault(key, []).append(json_or_text(text))
    return {key: found[0] if len(found) == 1 else found for key, found in values.items()}


def json_or_text(text):
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
