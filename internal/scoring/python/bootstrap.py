# Started by `python -c`. Moves the two pipes that are stdin and stdout out of
# the user's reach, so that print() and C code write to the log, then runs the
# worker's modules, which arrive in the first frame; the last one has main().
import json, os, struct, sys, types

calls = os.fdopen(os.dup(0), "rb", 1 << 16)
answers = os.dup(1)
os.dup2(2, 1)
_null = os.open(os.devnull, os.O_RDONLY)
os.dup2(_null, 0)
os.close(_null)

_, _head, _body = struct.unpack("!III", calls.read(12))
_setup = json.loads(calls.read(_head))
for _name, _source in json.loads(calls.read(_body)):
    _module = sys.modules[_name] = types.ModuleType(_name)
    exec(compile(_source, "<" + _name + ">", "exec"), _module.__dict__)
_module.main(calls, answers, _setup)
