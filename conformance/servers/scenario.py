"""Scenarios, as they stand in `scenarios/*.toml`.

A file is an area: `source` names the document its rules are from, unless a scenario names its own. Each `[[scenario]]`
is a function and what a caller does with it:

| field | what |
|---|---|
| `name`, `rule` | unique in its area; what must hold, in a sentence |
| `runtime` | the runtime's script (`guest.py` lies under it) |
| `bootstrap` | text of the bootstrap instead of a script |
| `extensions` | scripts of external extensions, by name |
| `files` | other files of the layer: text, executable unless its name ends in `.plain` |
| `caller` | calls, and says what must come of it (`stage.py` lies under it) |
| `timeout`, `memory`, `environment` | of the function: seconds, MB, variables |
| `log_format`, `application_log_level`, `system_log_level` | likewise |
| `initialization` | `on-demand`, `provisioned-concurrency`, `snap-start` |
| `max_concurrency` | invocations at a time within one environment |
| `environments` | at most at a time [1] |
| `url` | invoke mode of a function URL: `BUFFERED` or `RESPONSE_STREAM` |
"""

import dataclasses
import tomllib
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "scenarios"
ENDLESS = "serve(lambda event: event.body)"


class BadScenario(Exception):
    pass


@dataclasses.dataclass
class Scenario:
    area: str
    name: str
    rule: str
    source: str
    caller: str
    runtime: str = ENDLESS
    bootstrap: str = ""
    extensions: dict = dataclasses.field(default_factory=dict)
    files: dict = dataclasses.field(default_factory=dict)
    environment: dict = dataclasses.field(default_factory=dict)
    timeout: int = 5
    memory: int = 128
    log_format: str = "text"
    application_log_level: str = ""
    system_log_level: str = ""
    initialization: str = "on-demand"
    max_concurrency: int = 1
    environments: int = 1
    url: str = ""

    @property
    def full_name(self):
        return f"{self.area}: {self.name}"

    @property
    def has_layer(self):
        return bool(self.extensions or self.files)

    def scripts(self):
        return [self.runtime, *self.extensions.values()]


def read(path):
    with path.open("rb") as file:
        content = tomllib.load(file)
    found = []
    for fields in content.get("scenario", []):
        try:
            found.append(Scenario(**{"area": path.stem, "source": content.get("source"), **fields}))
        except TypeError as error:
            raise BadScenario(f"{path}: {fields.get('name')}: {error}") from error
    names = [scenario.name for scenario in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise BadScenario(f"{path}: {twice} twice")
    return found


def read_all(only=None):
    scenarios = [scenario for path in sorted(FOLDER.glob("*.toml")) for scenario in read(path)]
    return [scenario for scenario in scenarios if only is None or only.search(scenario.full_name)]
