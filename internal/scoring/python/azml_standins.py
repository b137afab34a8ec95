"""Small stand-ins for the modules that scripts import for raw HTTP, used only
where the real packages are not installed."""

import codecs
import importlib.abc
import importlib.machinery
import io
import json
import sys
import types
from urllib.parse import parse_qsl

REQUEST_MODULES = ("azureml.contrib.services.aml_request", "azureml_inference_server_http.api.aml_request")
RESPONSE_MODULES = ("azureml.contrib.services.aml_response", "azureml_inference_server_http.api.aml_response")
PACKAGES = ("azureml", "azureml.contrib", "azureml.contrib.services", "azureml_inference_server_http", "azureml_inference_server_http.api")


def install():
    modules = dict.fromkeys(RESPONSE_MODULES, fill_response_module)
    modules.update(dict.fromkeys(REQUEST_MODULES, fill_request_module))
    modules["azureml.contrib.services"] = fill_services
    sys.meta_path.append(Finder(PACKAGES, modules))  # last, so that real packages win


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds stand-in modules, each with what fills it, and the packages among them."""

    def __init__(self, packages, modules={}):
        self.packages, self.modules = packages, modules

    def find_spec(self, name, path=None, target=None):
        if name in self.packages or name in self.modules:
            return importlib.machinery.ModuleSpec(name, self, is_package=name in self.packages)
        return None

    def create_module(self, spec):
        return types.ModuleType(spec.name)

    def exec_module(self, module):
        if module.__name__ in self.modules:
            self.modules[module.__name__](module)


def fill_response_module(module):
    module.AMLResponse = AMLResponse


def fill_services(module):
    from azureml.contrib.services.aml_request import rawhttp

    module.rawhttp = rawhttp


def fill_request_module(module):
    module._rawHttpRequested = False
    module.AMLRequest = AMLRequest

    def rawhttp(function):
        module._rawHttpRequested = True
        return function

    module.rawhttp = rawhttp


def raw_module():
    """The module whose rawhttp the script used, None when it used none."""
    for name in REQUEST_MODULES:
        module = sys.modules.get(name)
        if module is not None and getattr(module, "_rawHttpRequested", False):
            return module
    return None


def request_maker(module):
    """What makes the request object: the real package's scripts expect flask's."""
    if module is None or module.AMLRequest is AMLRequest:
        return AMLRequest
    from flask import Request

    return lambda head, body: Request(environ(head, body))


def environ(head, body):
    """A call as WSGI describes it."""
    name, _, port = head.get("host", "").partition(":")
    values = {
        "REQUEST_METHOD": head["method"], "SCRIPT_NAME": "", "PATH_INFO": head.get("path", ""),
        "QUERY_STRING": head.get("query", ""), "SERVER_NAME": name or "localhost", "SERVER_PORT": port or "80",
        "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": head.get("remote", "").rpartition(":")[0],
        "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(body), "wsgi.errors": sys.stderr,
        "wsgi.multithread": False, "wsgi.multiprocess": True, "wsgi.run_once": False,
    }  # fmt: skip
    for key, value in head["headers"]:
        key = key.upper().replace("-", "_")
        values[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + key] = value
    values["CONTENT_LENGTH"] = str(len(body))
    return values


def keep_escaped(error):
    return "".join("%%%02X" % byte for byte in error.object[error.start : error.end]), error.end


codecs.register_error("azml_keep_escaped", keep_escaped)


def query_pairs(query):
    """A query's keys and values in order; bytes that are no UTF-8 stay escaped."""
    return parse_qsl(query, keep_blank_values=True, errors="azml_keep_escaped")


class Headers(dict):
    """Headers by name in any case."""

    def __init__(self, pairs=()):
        super().__init__()
        for name, value in pairs:
            self[name] = value

    def __setitem__(self, name, value):
        super().__setitem__(self.known(name), value)

    def __getitem__(self, name):
        return super().__getitem__(self.known(name))

    def __contains__(self, name):
        return super().__contains__(self.known(name))

    def get(self, name, default=None):
        return super().get(self.known(name), default)

    def known(self, name):
        return "-".join(part.capitalize() for part in name.split("-"))


class Parameters(dict):
    """A query's parameters: the first value by key, all by getlist."""

    def __init__(self, query):
        super().__init__()
        self.lists = {}
        for key, value in query_pairs(query):
            self.add(key, value)

    def add(self, key, value):
        self.lists.setdefault(key, []).append(value)
        self.setdefault(key, value)

    def get(self, key, default=None, type=None):
        if key not in self:
            return default
        try:
            return type(self[key]) if type else self[key]
        except ValueError:
            return default

    def getlist(self, key):
        return list(self.lists.get(key, ()))


def headers_of(text):
    from email.parser import Parser

    return Parser().parsestr(text, headersonly=True)


class Part(io.BytesIO):
    """One part of a form: a file, or a field, which has no filename."""

    def __init__(self, piece):
        head, _, content = piece.partition(b"\r\n\r\n")
        super().__init__(content)
        self.headers = headers_of(head.decode("utf-8", "replace").lstrip("\r\n"))
        self.name = self.headers.get_param("name", header="content-disposition")
        self.filename = self.headers.get_param("filename", header="content-disposition")
        self.content_type, self.stream = self.headers.get("Content-Type"), self

    def save(self, path):
        with open(path, "wb") as file:
            file.write(self.getbuffer())


class AMLRequest:
    """The request that a @rawhttp script gets where flask is not installed."""

    def __init__(self, head, body):
        self.method, self.path = head["method"], head.get("path", "")
        self.query_string = head.get("query", "").encode("latin-1", "replace")
        self.host, self.remote_addr = head.get("host", ""), head.get("remote", "").rpartition(":")[0]
        self.headers, self.args, self.data = Headers(head["headers"]), Parameters(head.get("query", "")), body
        self.content_type = self.headers.get("Content-Type", "")
        self.mimetype = self.content_type.split(";")[0].strip().lower()
        self.content_length = len(body)
        self.stream = io.BytesIO(body)

    def __getattr__(self, name):
        raise AttributeError("this request has no %r; install flask and azureml-contrib-services in the script's environment for the full request object" % name)

    @property
    def full_path(self):
        return self.path + "?" + self.query_string.decode("latin-1")

    @property
    def url(self):
        return "http://" + self.host + (self.full_path if self.query_string else self.path)

    @property
    def is_json(self):
        return self.mimetype == "application/json" or self.mimetype.endswith("+json")

    @property
    def json(self):
        return self.get_json()

    @property
    def form(self):
        query = self.data.decode("utf-8", "replace") if self.mimetype == "application/x-www-form-urlencoded" else ""
        form = Parameters(query)
        for part in self.parts:
            if part.filename is None:
                form.add(part.name, part.read().decode("utf-8", "replace"))
        return form

    @property
    def files(self):
        files = Parameters("")
        for part in self.parts:
            if part.filename is not None:
                files.add(part.name, part)
        return files

    @property
    def parts(self):
        """The parts of a body of multipart/form-data."""
        kind = headers_of("Content-Type: " + self.content_type)
        boundary = kind.get_boundary()
        if self.mimetype != "multipart/form-data" or not boundary:
            return []
        pieces = (b"\r\n" + self.data).split(b"\r\n--" + boundary.encode("latin-1", "replace"))
        return [Part(piece) for piece in pieces[1:] if not piece.startswith(b"--")]

    def get_data(self, cache=True, as_text=False, parse_form_data=False):
        return self.data.decode("utf-8", "replace") if as_text else self.data

    def get_json(self, force=False, silent=False, cache=True):
        if not (force or self.is_json):
            if silent:
                return None
            raise ValueError("the request's Content-Type is not application/json")
        try:
            return json.loads(self.data)
        except ValueError:
            if silent:
                return None
            raise


class AMLResponse:
    """An answer with its own status and headers."""

    def __init__(self, message, status_code, response_headers={}, json_str=False, run_function_failed=False):
        self.status_code = int(status_code)
        self.pairs = []
        given = Headers(response_headers.items())
        if message is None or json_str:
            message = json.dumps({} if message is None else message)
            self.pairs.append(("Content-Type", "application/json"))
        elif "Content-Type" not in given:
            self.pairs.append(("Content-Type", "text/html; charset=utf-8"))
        self.pairs.append(("x-ms-run-function-failed", str(run_function_failed)))
        for name, value in response_headers.items():
            self.pairs.extend((name, part.strip()) for part in str(value).split(","))
        self.message = message
        self.is_streamed = not isinstance(message, (str, bytes, bytearray, list, tuple))

    @property
    def headers(self):
        return self

    def items(self):
        return list(self.pairs)

    def add(self, name, value):
        self.pairs.append((name, str(value)))

    def __setitem__(self, name, value):
        self.pairs = [pair for pair in self.pairs if pair[0].lower() != name.lower()] + [(name, str(value))]

    def __getitem__(self, name):
        for known, value in self.pairs:
            if known.lower() == name.lower():
                return value
        raise KeyError(name)

    def iter_encoded(self):
        whole = isinstance(self.message, (str, bytes, bytearray))
        for piece in (self.message,) if whole else self.message:
            yield piece.encode("utf-8") if isinstance(piece, str) else bytes(piece)

    def get_data(self, as_text=False):
        data = b"".join(self.iter_encoded())
        return data.decode("utf-8") if as_text else data

    def close(self):
        close = getattr(self.message, "close", None)
        if close:
            close()
