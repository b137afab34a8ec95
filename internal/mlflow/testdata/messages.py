"""Prints the messages of MLflow's own definitions, and the routes of its server, as JSON."""

import json
import sys

from google.protobuf.descriptor import FieldDescriptor

OUT, sys.stdout = sys.stdout, sys.stderr  # which the server may write to

from mlflow.protos import databricks_pb2, mlflow_artifacts_pb2, model_registry_pb2, service_pb2  # noqa: E402
from mlflow.server import app, handlers  # noqa: E402
from mlflow.server.fastapi_app import create_fastapi_app  # noqa: E402

KINDS = {
    FieldDescriptor.CPPTYPE_STRING: "string",
    FieldDescriptor.CPPTYPE_INT32: "int",
    FieldDescriptor.CPPTYPE_INT64: "int",
    FieldDescriptor.CPPTYPE_DOUBLE: "float",
    FieldDescriptor.CPPTYPE_FLOAT: "float",
    FieldDescriptor.CPPTYPE_BOOL: "bool",
    FieldDescriptor.CPPTYPE_ENUM: "enum",
    FieldDescriptor.CPPTYPE_MESSAGE: "message",
}
messages = {}


def repeated(field):
    try:
        return bool(field.is_repeated)
    except AttributeError:
        return field.label == FieldDescriptor.LABEL_REPEATED


def add(prefix, message):
    messages[prefix + message.name] = [
        {
            "name": f.name,
            "camel": f.json_name,
            "kind": KINDS.get(f.cpp_type, "other"),
            "list": repeated(f),
            "required": f.GetOptions().Extensions[databricks_pb2.validate_required],
            "enum": [v.name for v in f.enum_type.values] if f.enum_type else None,
        }
        for f in message.fields
    ]
    for inner in message.nested_types:
        add(prefix + message.name + ".", inner)


for prefix, module in {"": service_pb2, "artifacts.": mlflow_artifacts_pb2, "registry.": model_registry_pb2}.items():
    for message in module.DESCRIPTOR.message_types_by_name.values():
        add(prefix, message)

# What the server answers, also what is defined nowhere else.
routes = {(method, path) for path, _, methods in handlers.get_endpoints() for method in methods}
routes |= {(method, str(rule)) for rule in app.url_map.iter_rules() for method in rule.methods - {"HEAD", "OPTIONS"}}
for included in create_fastapi_app().routes:
    router = getattr(included, "original_router", None)
    for route in router.routes if router else []:
        routes |= {(method, included.include_context.prefix + route.path) for method in getattr(route, "methods", None) or []}
json.dump({"messages": messages, "routes": [{"method": m, "path": p} for m, p in sorted(routes)]}, OUT)
