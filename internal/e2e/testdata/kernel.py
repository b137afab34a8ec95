"""Executes the code of standard input in a new kernel of a Jupyter server and prints what it says."""
import json
import sys
import urllib.parse
import urllib.request
import uuid

import websocket

link = urllib.parse.urlsplit(sys.argv[1])
token = urllib.parse.parse_qs(link.query)["token"][0]
base = f"{link.scheme}://{link.netloc}"


def ask(method, path):
    request = urllib.request.Request(base + path, b"{}" if method == "POST" else None, {"Authorization": "token " + token}, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read() or b"null")


kernel = ask("POST", "/api/kernels")["id"]
channels = websocket.create_connection(f"ws://{link.netloc}/api/kernels/{kernel}/channels?token={token}", timeout=120)
header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "username": "test", "session": uuid.uuid4().hex, "version": "5.3"}
content = {"code": sys.stdin.read(), "silent": False, "store_history": False, "allow_stdin": False, "stop_on_error": True}
channels.send(json.dumps({"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell", "buffers": []}))
while True:
    message = json.loads(channels.recv())
    if message["parent_header"].get("msg_id") != header["msg_id"]:
        continue
    if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
        sys.stdout.write(message["content"]["text"])
    if message["msg_type"] == "error":
        sys.exit("\n".join(message["content"]["traceback"]))
    if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
        break
channels.close()
ask("DELETE", "/api/kernels/" + kernel)
