"""Prints the messages and endpoints of MLflow's own definitions as JSON."""

import json

from google.protobuf.descriptor import FieldDescriptor
from mlflow.protos import databricks_pb2, mlflow_artifacts_pb2, model_registry_pb2, service_pb2

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
messages, endpoints = {}, []


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
    for service in module.DESCRIPTOR.services_by_name.values():
        for method in service.methods:
            for e in method.GetOptions().Extensions[databricks_pb2.rpc].endpoints:
                endpoints.append({"method": e.method, "path": e.path, "major": e.since.major})
print(json.dumps({"messages": messages, "endpoints": endpoints}))
