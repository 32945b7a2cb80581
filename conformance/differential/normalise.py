"""What may differ between two runs without meaning anything: clocks, and the clients' own files.

`run.py` passes every text it compares through `text()`. A stack frame inside the runtime client itself is removed
(the two clients are different programs, their frames cannot agree); every frame of the function, of the
interpreter and of its library stays and is compared.
"""

import base64
import json
import re

CLIENT = "<client>"
ISO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
PYTHON_FRAME = re.compile(r'(?:^|(?<=\r))[ \u00a0]*File "' + CLIENT + r'[^\n\r]*([\n\r][ \u00a0]{4,}[^\n\r]*)*[\n\r]?', re.M)
PYTHON_FRAME_IN_JSON = re.compile(r'" *File \\"' + CLIENT + r'(?:[^"\\]|\\.)*"(, )?')
PYTHON_WARNING = re.compile(CLIENT + r":\d+: (\w+Warning: [^\n]*)\n  [^\n]*")
NODE_FRAME = re.compile(r"[\n\r]?[ \t]*at [^\n\r]*" + CLIENT + r"[^\n\r]*")
NODE_FRAME_IN_JSON = re.compile(r'(?<=[\[,]) *"[^"\n]*at [^"\n]*' + CLIENT + r'[^"\n]*",?')
NODE_SOURCE = re.compile("^" + CLIENT + r":\d+\n[^\n]*\n *\^+\n", re.M)
# How the client was woken is no more the function's than the client's own frames are.
TICKS = r"[ \t]*at (?:async )?(?:process\.)?processTicksAndRejections \([^)\n\r]*\)"
TICKS_IN_JSON, TICKS_LINE = re.compile(r',? *"' + TICKS + '"'), re.compile(r"[\n\r]" + TICKS)
# Advice about runtime updates of AWS's, which AWS's Python client adds to every failed init.
ADVICE = re.compile(r'(\[WARNING\]\t<time>\t[^\t\n]*\t|\{[^{}\n]*"message": "|WARNING:root:)LAMBDA_WARNING: [^\n]*(\n|$)')
# AWS's client and ours say in their own words that callbacks are over.
NO_CALLBACKS = re.compile(r"(ERROR: AWS Lambda has removed support for callback|Callback handlers are not supported)[^\"\\\n\r]*")
EPOCH_MS = re.compile(r"\[\d{13}\]")


class Normaliser:
    """Made for one client: `own_paths` are the folders (or files) that are the client's code."""

    def __init__(self, own_paths):
        # The longest first, so that a folder inside another one is not half replaced.
        own = sorted({prefix + path for path in own_paths for prefix in ("file://", "")}, key=len, reverse=True)
        self._own = re.compile("(?:" + "|".join(map(re.escape, own)) + r")(?:/[\w./-]*)?")

    def text(self, value):
        value = self._own.sub(CLIENT, value)
        value = ISO_TIME.sub("<time>", value)
        value = EPOCH_MS.sub("[<epoch-ms>]", value)
        value = ADVICE.sub("", value)
        value = NO_CALLBACKS.sub("<no callbacks>", value)
        value = TICKS_LINE.sub("", TICKS_IN_JSON.sub("", value))
        if CLIENT in value:
            value = PYTHON_FRAME.sub("", value)
            value = PYTHON_FRAME_IN_JSON.sub("", value)
            value = PYTHON_WARNING.sub(r"\1", value)
            value = NODE_SOURCE.sub("", value)
            value = NODE_FRAME_IN_JSON.sub("", value)
            value = NODE_FRAME.sub("", value)
            # Removing the last element of a JSON list leaves the comma before it.
            value = re.sub(r",\s*\]", "]", value)
        return value

    def body(self, raw):
        return self.text(raw.decode("utf-8", "backslashreplace"))

    def cause(self, header):
        """The X-Ray cause: own frames out, and the set of paths in an order."""
        try:
            cause = json.loads(header)
        except ValueError:
            return self.text(header)
        for exception in cause["exceptions"]:
            # Frames in ES modules have a URL, of which AWS's client keeps only the scheme: nothing is left to compare.
            exception["stack"] = [frame for frame in exception["stack"] if not self._own.search(str(frame["path"]) + str(frame["label"]))
                                  and frame["path"] not in ("file", "node")]
            if isinstance(exception.get("message"), str):
                exception["message"] = self.text(exception["message"])
        cause["paths"] = sorted({frame["path"] for exception in cause["exceptions"] for frame in exception["stack"]})
        return json.dumps(cause, ensure_ascii=False)

    def trailer(self, name, value):
        if name.endswith("error-body"):
            return self.body(base64.b64decode(value))
        return value
