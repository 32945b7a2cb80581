"""The managed Python runtime: entry point.

    python3.X <runtime_dir>/python/bootstrap.py

with the working directory at the function's code and the environment of a Lambda function. Everything else is in the
package `_firesteel` next to this file: `loop` runs the function, `handler` finds it, `api` speaks the Runtime API,
`payload`, `failure`, `context` and `logs` shape what goes in and out. This file only arranges `sys.path`
and stays tiny, because Python compiles the main script anew at every start while it can cache the package.
"""

import os
import sys


def arrange_path():
    """Function code first, then layers; our own folder not at all, so that no name of ours hides one of the user's."""
    import _firesteel.loop as loop

    del sys.path[0]
    # Where /opt cannot be mounted the layers lie elsewhere; the function must not come to depend on this.
    opt = os.environ.pop("_FIRESTEEL_OPT", "/opt")
    layers = os.path.join(opt, "python")
    site_packages = os.path.join(layers, "lib", "python%d.%d" % sys.version_info[:2], "site-packages")
    sys.path[:0] = [os.environ.get("LAMBDA_TASK_ROOT", os.getcwd()), site_packages, layers]
    return loop


if __name__ == "__main__":
    arrange_path().run(os.environ["_HANDLER"], os.environ["AWS_LAMBDA_RUNTIME_API"])
