"""Packs the interpreter that runs this, and its pip, as packages of a conda channel.

The argument is the channel's folder. The files are the interpreter's own, but for
tests, tools with windows and what compiling extensions takes.
"""

import hashlib
import io
import json
import os
import pathlib
import site
import subprocess
import sys
import sysconfig
import tarfile
import tempfile

minor = "%d.%d" % sys.version_info[:2]
version = "%d.%d.%d" % sys.version_info[:3]
left_out = {"test", "tests", "idlelib", "lib2to3", "tkinter", "turtledemo", "pydoc_data", "ensurepip",
            "site-packages", "dist-packages", "__pycache__", "EXTERNALLY-MANAGED"}


def subdir():
    machine = {"x86_64": "64", "amd64": "64", "arm64": "arm64" if sys.platform == "darwin" else "aarch64"}
    system = {"darwin": "osx", "win32": "win"}.get(sys.platform, "linux")
    name = os.uname().machine
    return system + "-" + machine.get(name, name)


def folder(root, at):
    """Gives the files of a folder by their paths in a package."""
    found = {}
    for place, dirs, files in os.walk(root):
        dirs[:] = sorted(d for d in dirs if d not in left_out and not d.startswith("config-"))
        for name in sorted(files):
            if name not in left_out:
                file = pathlib.Path(place, name)
                found[at + "/" + file.relative_to(root).as_posix()] = file.resolve().read_bytes()
    return found


def python():
    """Gives the files of the interpreter, with the library that it may need."""
    binary = pathlib.Path(sys.executable).resolve().read_bytes()
    found = {"bin/python" + minor: binary, "bin/python3": binary, "bin/python": binary}
    found.update(folder(sysconfig.get_path("stdlib"), "lib/python" + minor))
    return found


def pip():
    """Gives the files of the pip that virtual environments get."""
    with tempfile.TemporaryDirectory() as venv:
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        found = {}
        for part in sorted(pathlib.Path(venv).glob("lib/python3*/site-packages/pip*")):
            found.update(folder(part, "site-packages/" + part.name))
        info = next(name for name in found if name.endswith(".dist-info/METADATA"))
        return info.split("/")[1][len("pip-"):-len(".dist-info")], found


def package(channel, where, index, files, more=None):
    """Writes a package, and gives what the channel's list says of it."""
    paths = [{"_path": name, "path_type": "hardlink", "sha256": hashlib.sha256(data).hexdigest(), "size_in_bytes": len(data)}
             for name, data in files.items()]
    files = dict(files)
    files["info/index.json"] = json.dumps(index).encode()
    files["info/paths.json"] = json.dumps({"paths": paths, "paths_version": 1}).encode()
    for name, value in (more or {}).items():
        files["info/" + name] = json.dumps(value).encode()
    name = "%s-%s-%s.tar.bz2" % (index["name"], index["version"], index["build"])
    folder = pathlib.Path(channel, where)
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / name, "w:bz2", compresslevel=1) as archive:
        for path, data in files.items():
            info = tarfile.TarInfo(path)
            info.size, info.mode = len(data), 0o755 if path.startswith("bin/") else 0o644
            archive.addfile(info, io.BytesIO(data))
    data = (folder / name).read_bytes()
    listed = dict(index, sha256=hashlib.sha256(data).hexdigest(), md5=hashlib.md5(data).hexdigest(), size=len(data))
    text = {"info": {"subdir": where}, "packages": {name: listed}, "packages.conda": {}}
    (folder / "repodata.json").write_text(json.dumps(text))


def site_packages():
    """Gives where the interpreter looks for packages: Debian's has its own place."""
    return pathlib.Path(site.getsitepackages(["/prefix"])[0]).relative_to("/prefix").as_posix()


channel, where = sys.argv[1], subdir()
package(channel, where, {"name": "python", "version": version, "build": "0", "build_number": 0, "depends": [],
                         "subdir": where, "python_site_packages_path": site_packages()}, python())
of_pip, files = pip()
package(channel, "noarch", {"name": "pip", "version": of_pip, "build": "py_0", "build_number": 0, "depends": ["python >=3"],
                            "subdir": "noarch", "noarch": "python"}, files,
        {"link.json": {"noarch": {"type": "python", "entry_points": ["pip = pip._internal.cli.main:main"]}, "package_metadata_version": 1}})
