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
    kept, servers_of_old = {}, []
    for line in old.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[:2] == ["area", "scenario"]:
            servers_of_old = cells[2:]
        elif servers_of_old and len(cells) == 2 + len(servers_of_old):
            for server, sign in zip(servers_of_old, cells[2:]):
                if server not in run_now and sign in SIGN.values():
                    kept.setdefault(server, {})[cells[0], cells[1]] = sign
    return kept


def section(found, kept):
    """How many hold in each area, and, folded, every scenario."""
    signs = {}
    for result in found:
        signs.setdefault((result.scenario.area, result.scenario.name), {})[result.server] = SIGN[result.verdict]
    names = [*servers(found), *kept]
    for server, column in kept.items():
        for scenario, row in signs.items():
            row[server] = column.get(scenario, "?")

    lines = header("area", "scenarios", *names)
    for area in dict.fromkeys(area for area, _ in signs):
        rows_of_area = [row for (of, _), row in signs.items() if of == area]
        lines.append(table_row(area, len(rows_of_area), *(holding(rows_of_area, server) for server in names)))
    lines.append(table_row("all", len(signs), *(holding(signs.values(), server) for server in names)))
    lines += ["", "<details><summary>Every scenario</summary>", "", *header("area", "scenario", *names)]
    lines += [table_row(area, name, *(row[server] for server in names)) for (area, name), row in signs.items()]
    return "\n".join([*lines, "", "</details>", ""])


def holding(rows, server):
    seen = [row[server] for row in rows]
    text = str(seen.count(SIGN["passed"]))
    if missing := seen.count(SIGN["inexpressible"]):
        text += f" ({missing} not expressible)"
    return text


def header(*cells):
    return [table_row(*cells), "|---" * len(cells) + "|"]


def table_row(*cells):
    return "| " + " | ".join(map(str, cells)) + " |"
