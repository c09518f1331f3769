"""What importing a plugin changes in a process, looked at in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence

# A line of stdin names modules, the environment, the search path and the working folder; they are
# imported in a fork of this process, which has imported Keras once for all of them.
_SERVER = """
import importlib, importlib.util, json, os, random, sys
import numpy as np
with_keras = sys.argv[1] == "1"
if with_keras:
    import keras, hvae_core.layers, hvae_core.prob.gaussian

def state():
    found = {
        "the environment": dict(os.environ),
        "sys.path": list(sys.path),
        "Python's random state": random.getstate(),
        "NumPy's random state": str(np.random.get_state()),
        "the working folder": os.getcwd(),
    }
    if with_keras:
        found["Keras's dtype policy"] = keras.config.dtype_policy().name
        found["Keras's data format"] = keras.config.image_data_format()
        found["Keras's float type"] = keras.config.floatx()
    if with_keras and keras.config.backend() == "torch":
        import torch
        found["torch's random state"] = torch.get_rng_state().tolist()
    return found

def changed(modules, environment, path, folder):
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:] = path
    os.chdir(folder)
    before = state()
    for name, file in modules:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            if not file:
                raise
            spec = importlib.util.spec_from_file_location(name, file)
            sys.modules[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[name])
    after = state()
    return [key for key in before if before[key] != after[key]]

def answer(line):
    try:
        found = {"changed": changed(*json.loads(line))}
    except BaseException:
        import traceback
        found = {"failed": traceback.format_exc()}
    print("\\nanswer:" + json.dumps(found), flush=True)

for line in sys.stdin:
    if sys.argv[2] == "0":
        answer(line)
        break
    child = os.fork()
    if not child:
        answer(line)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        print("\\nanswer:" + json.dumps({"failed": "the process died"}), flush=True)
"""
#: whether such a process can be forked whatever it has imported; else each question has its own
_FORKS = sys.platform == "linux"

#: processes that wait for questions, by whether they have imported Keras
_servers: dict[bool, subprocess.Popen[str]] = {}


def changed_by_import(modules: Sequence[tuple[str, str | None]], with_keras: bool) -> list[str]:
    """What the import of ``modules`` changes: the environment, paths, random states, settings.

    Args:
        modules: names, each with its file if it has one, in case it is on no search path.
        with_keras: whether Keras is imported before, as what its own import changes is not theirs.

    Raises:
        ImportError: a module cannot be imported there; the message is the traceback.
    """
    server = _servers.get(with_keras)
    if server is None or server.poll() is not None:
        server = _servers[with_keras] = subprocess.Popen(
            [sys.executable, "-c", _SERVER, "01"[with_keras], "01"[_FORKS]],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
    assert server.stdin is not None
    assert server.stdout is not None
    question = [list(modules), dict(os.environ), sys.path, os.getcwd()]
    server.stdin.write(json.dumps(question) + "\n")
    server.stdin.flush()
    for line in server.stdout:
        if line.startswith("answer:"):
            if not _FORKS:
                server.wait()
            found = json.loads(line.removeprefix("answer:"))
            if "failed" in found:
                raise ImportError(found["failed"])
            return list(found["changed"])
    raise ImportError("the process that imports them has ended")
