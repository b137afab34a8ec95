"""Makes a conda environment, with py-rattler.

What to do is one line of JSON on the standard input, because it may hold passwords:
where ("prefix"), which packages ("specs") and from where ("channels", the first one
preferred). What is done is told line by line, at last what went wrong.
"""

import asyncio
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

from rattler import Channel, ChannelConfig, Client, Config, Gateway, InstallerReporter, MatchSpec
from rattler import Subdir, VirtualPackage, VirtualPackageOverrides, install, solve
from rattler.shell import ActivationVariables, Shell, activate

# Where channels are that have a name and no URL.
ALIAS = os.environ.get("CONDA_CHANNEL_ALIAS") or "https://conda.anaconda.org"

# Where lists of packages are kept: rattler itself minds the variable for packages only.
# Their URLs may have passwords.
REPODATA = os.environ.get("RATTLER_CACHE_DIR") and pathlib.Path(os.environ["RATTLER_CACHE_DIR"], "repodata")


class Teller(InstallerReporter):
    """Tells what is fetched and what is installed."""

    def __init__(self):
        self.names = {}

    def on_populate_cache_start(self, operation, package_name):
        self.names[operation] = package_name
        return operation

    def on_download_start(self, cache_entry):
        print("downloading " + self.names[cache_entry])
        return cache_entry

    def on_link_start(self, operation, package_name):
        print("installing " + package_name)
        return operation


def spec_of(text, alias):
    """Reads a spec, in which a channel's name may stand before the package's."""
    channel, names, rest = text.partition("::")
    return MatchSpec(Channel(channel, alias).base_url.rstrip("/") + "::" + rest if names else text)


async def make(request):
    # Mirrors, proxies and certificates of rattler's own configuration count.
    config = Config.load_from_default_locations("rattler")
    client = Client.from_config(config)
    alias = ChannelConfig(channel_alias=ALIAS.rstrip("/") + "/")
    specs = [spec_of(spec, alias) for spec in request["specs"]]
    print("solving for %s: %s" % (Subdir.current(), ", ".join(map(str, specs))))
    records = await solve(
        sources=[Channel(name, alias) for name in request["channels"]],
        specs=specs,
        gateway=Gateway.from_config(config, cache_dir=REPODATA, client=client),
        virtual_packages=VirtualPackage.detect(VirtualPackageOverrides.from_env()),
    )
    for record in sorted(records, key=lambda record: record.name.normalized):
        print("%s %s %s from %s" % (record.name.normalized, record.version, record.build, record.channel))
    await install(
        records,
        target_prefix=request["prefix"],
        # As pip runs what source packages have: conda packages may need it.
        execute_link_scripts=True,
        client=client,
        config=config,
        reporter=Teller(),
    )


def forget_credentials(prefix):
    """Takes users, passwords and tokens out of the URLs that rattler notes of packages."""
    for file in (prefix / "conda-meta").glob("*.json"):
        record = json.loads(file.read_text("utf-8"))
        for key in ("url", "channel"):
            if isinstance(record.get(key), str):
                record[key] = re.sub("(://)[^/@]+@|/t/[^/]+(?=/)", r"\1", record[key])
        file.write_text(json.dumps(record, indent=2), "utf-8")


def activated(prefix):
    """Gives the variables that scripts of packages set in an environment in use."""
    if not (prefix / "etc/conda/activate.d").is_dir() or os.name == "nt":
        return {}
    script = activate(prefix, ActivationVariables(), Shell.bash).script
    tell = "exec 3>&1 1>&2\n" + script + "\nexec \"$0\" -I -c 'import json, os; print(json.dumps(dict(os.environ)))' >&3"
    before = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
    told = subprocess.run([shutil.which("bash") or "/bin/sh", "-c", tell, sys.executable],
                          env=before, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
    own = {"HOME", "PATH", "PWD", "OLDPWD", "SHLVL", "_", "CONDA_PREFIX", "CONDA_SHLVL", "LC_CTYPE"}
    return {name: value for name, value in json.loads(told.stdout).items() if name not in own}


def main():
    sys.stdin.reconfigure(encoding="utf-8")  # whatever the machine's own is
    sys.stdout.reconfigure(encoding="utf-8", errors="replace")
    request = json.loads(sys.stdin.readline())
    try:
        asyncio.run(make(request))
        prefix = pathlib.Path(request["prefix"])
        forget_credentials(prefix)
        (prefix / request["variables"]).write_text(json.dumps(activated(prefix)))
    except Exception as error:
        print(error)
        return 1
    return 0


code = main()
sys.stdout.flush()
os._exit(code)  # not sys.exit: rattler's threads may not have ended, and abort an interpreter that ends
