"""Deletes what a server has, by its API: functions, layers, mappings, code signing configurations."""

import http.client
import json
from urllib.parse import quote

import signature
from moto_server import KEYS


def forget_everything(server, region):
    """Order matters: what refers to something goes before it."""
    for mapping in listed(server, region, "/2015-03-31/event-source-mappings", "EventSourceMappings"):
        ask(server, region, "DELETE", f"/2015-03-31/event-source-mappings/{mapping['UUID']}")
    for function in listed(server, region, "/2015-03-31/functions", "Functions"):
        ask(server, region, "DELETE", f"/2015-03-31/functions/{function['FunctionName']}")
    for layer in listed(server, region, "/2018-10-31/layers", "Layers"):
        path = f"/2018-10-31/layers/{layer['LayerName']}/versions"
        for version in listed(server, region, path, "LayerVersions"):
            ask(server, region, "DELETE", f"{path}/{version['Version']}")
    for config in listed(server, region, "/2020-04-22/code-signing-configs", "CodeSigningConfigs"):
        ask(server, region, "DELETE", f"/2020-04-22/code-signing-configs/{quote(config['CodeSigningConfigArn'], safe='')}")


def listed(server, region, path, member):
    """All pages."""
    marker, found = "", []
    while marker is not None:
        page = ask(server, region, "GET", f"{path}?Marker={quote(marker, safe='')}" if marker else path)
        found += page[member]
        marker = page.get("NextMarker")
    return found


def ask(server, region, method, path):
    connection = http.client.HTTPConnection(server, timeout=60)
    try:
        connection.request(method, path, headers=signature.sign(method, f"http://{server}{path}", {"host": server}, b"", KEYS, region))
        answer = connection.getresponse()
        body = answer.read()
        return json.loads(body) if body else {}
    finally:
        connection.close()
