"""What became of the scenarios: for people as it happens, as tables, and as JSON."""

import dataclasses
import json
import re

from scenario import Scenario

SIGN = {"passed": "yes", "failed": "**no**", "inexpressible": "–"}
WORD = {"passed": "ok", "failed": "FAILED", "inexpressible": "not expressible"}
BEGIN = "<!-- conformance/servers/run.py writes from here -->"
END = "<!-- to here -->"


@dataclasses.dataclass
class Result:
    scenario: Scenario
    server: str
    verdict: str
    why: str
    seconds: float


def explain(what, line, stage, server):
    parts = [what]
    if line:
        parts.append(f"at: {line}")
    if stage:
        records = stage.records()
        if records:
            parts.append("notes:")
            parts += [f"  {record['at'] - records[0]['at']:7.3f} {record['who']}: {shortened(record['note'])}" for record in records[:60]]
    if server:
        parts.append("the server said:")
        parts += [f"  {line[:400]}" for line in server.raw_log()[-40:]]
    return "\n".join(parts)


def shortened(note):
    text = note if isinstance(note, str) else json.dumps(note)
    return text if len(text) <= 1000 else f"{text[:1000]}… ({len(text)} characters)"


def show(result, explained):
    print(f"{WORD[result.verdict]:<16}{result.server:<10} {result.scenario.full_name}  ({result.seconds:.1f} s)", flush=True)
    if result.verdict == "inexpressible":
        print(f"                {result.why}", flush=True)
    if result.verdict == "failed" and result.server in explained:
        rule = f"rule: {result.scenario.rule} ({result.scenario.source})"
        print("\n".join("    " + line for line in [rule, *result.why.splitlines()]), flush=True)


def rows(found):
    """Scenarios in their order, each with its verdicts by server."""
    table = {}
    for result in found:
        table.setdefault(result.scenario.full_name, {})[result.server] = result
    return table


def servers(found):
    return list(dict.fromkeys(result.server for result in found))


def counts(found, server):
    verdicts = [result.verdict for result in found if result.server == server]
    said = [f"{verdicts.count('passed')} of {len(verdicts)} hold", f"{verdicts.count('failed')} fail"]
    if missing := verdicts.count("inexpressible"):
        said.append(f"{missing} not expressible")
    return ", ".join(said)


def table(found):
    names = servers(found)
    width = max((len(name) for name in rows(found)), default=0)
    lines = ["", f"{'scenario':<{width}}  " + "".join(f"{name:<16}" for name in names)]
    for name, verdicts in rows(found).items():
        lines.append(f"{name:<{width}}  " + "".join(f"{WORD[verdicts[server].verdict]:<16}" for server in names))
    lines += ["", *(f"{server}: {counts(found, server)}" for server in names)]
    return "\n".join(lines)


def write_json(found, path):
    content = [{"area": result.scenario.area, "scenario": result.scenario.name, "rule": result.scenario.rule,
                "source": result.scenario.source, "server": result.server, "verdict": result.verdict,
                "why": result.why, "seconds": round(result.seconds, 3)} for result in found]
    path.write_text(json.dumps(content, indent=1) + "\n")


def update(found, path):
    """Rewrites the section between the marks. A server that was not run now keeps its column."""
    text = path.read_text()
    before, old, after = re.fullmatch(f"(.*?{BEGIN}\n)(.*)({END}.*)", text, re.S).groups()
    path.write_text(before + section(found, kept_columns(old, servers(found))) + after)


def kept_columns(old, run_now):
    """`{server: {(area, name): sign}}` of the columns that nobody ran now."""
    kept, header = {}, None
    for line in old.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] == "area":
            header = cells
        elif header and line.startswith("| ") and len(cells) == len(header):
            for server, sign in zip(header[2:], cells[2:]):
                if server not in run_now:
                    kept.setdefault(server, {})[cells[0], cells[1]] = sign
    return kept


def section(found, kept):
    names = servers(found)
    lines = []
    for server in names:
        lines.append(f"{server}: {counts(found, server)}.")
    for server, signs in kept.items():
        holding = sum(sign == SIGN["passed"] for sign in signs.values())
        lines.append(f"{server}: {holding} of {len(signs)} held when it was last run.")
    lines += ["", "| " + " | ".join(["area", "scenario", *names, *kept]) + " |", "|---" * (2 + len(names) + len(kept)) + "|"]
    for verdicts in rows(found).values():
        scenario = next(iter(verdicts.values())).scenario
        signs = [SIGN[verdicts[server].verdict] for server in names]
        signs += [column.get((scenario.area, scenario.name), "?") for column in kept.values()]
        lines.append("| " + " | ".join([scenario.area, scenario.name, *signs]) + " |")
    return "\n".join(lines) + "\n"
