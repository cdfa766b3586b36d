"""OpenAPI documents as tools, against a real server: places of parameters, attacks, errors, secrets."""

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ctxeng.errors import BadInput
from ctxeng.tools.openapi import OpenAPIProvider, read_openapi
from ctxeng.turn import Call, Scope

DOCUMENT = {
    "openapi": "3.1.0",
    "paths": {
        "/orders/{order}": {
            "parameters": [{"$ref": "#/components/parameters/Order"}],
            "get": {
                "operationId": "getOrder",
                "summary": "One order.",
                "description": "With its lines",
                "parameters": [
                    {
                        "name": "fields",
                        "in": "query",
                        "schema": {"type": "array", "items": {"type": "string"}},
                    },
                    {"name": "X-Trace", "in": "header", "schema": {"type": "string"}},
                ],
            },
            "delete": {"deprecated": True, "summary": "Remove an order"},
            "patch": {
                "operationId": "change order!",
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Change"}}},
                },
            },
        },
        "/tree": {
            "post": {
                "operationId": "tree",
                "requestBody": {
                    "content": {
                        "application/json": {"schema": {"type": "array", "items": {"type": "integer"}}}
                    }
                },
            }
        },
    },
    "components": {
        "parameters": {
            "Order": {
                "name": "order",
                "in": "path",
                "description": "its number",
                "schema": {"type": "string"},
            }
        },
        "schemas": {
            "Change": {
                "type": "object",
                "required": ["note"],
                "properties": {
                    "note": {"type": "string"},
                    "order": {"type": "integer"},
                    "parent": {"$ref": "#/components/schemas/Change"},
                },
            }
        },
    },
}


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was asked."""

    def _answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        status = 418 if "teapot" in self.path else 302 if "elsewhere" in self.path else 200
        said = {
            "method": self.command,
            "path": self.path,
            "body": json.loads(body) if body else None,
            "trace": self.headers.get("X-Trace"),
            "known": self.headers.get("Authorization") == "Bearer s3cret",
        }
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "http://127.0.0.1:9/steal")
        self.end_headers()
        self.wfile.write(json.dumps(said).encode())

    do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815 - the library's names

    def log_message(self, *_):
        """Nothing is written."""


@pytest.fixture
def api():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    headers = {"Authorization": "Bearer s3cret"}
    yield OpenAPIProvider("shop", DOCUMENT, f"http://127.0.0.1:{server.server_port}/v1", headers)
    server.shutdown()
    server.server_close()


def called(api, name, **arguments):
    return api.run(Call(id="c", name=name, arguments=arguments), Scope())


def test_each_operation_is_a_tool_and_deprecated_ones_come_last(api):
    tools = api.tools()
    assert [tool.name for tool in tools] == ["getOrder", "change_order", "tree", "delete__orders_order"]
    get, change, tree, _ = tools
    assert get.description == "One order. With its lines"
    assert get.parameters["properties"]["order"] == {"type": "string", "description": "its number"}
    assert get.parameters["required"] == ["order"]
    assert set(change.parameters["properties"]) == {"order", "note", "body_order", "parent"}
    assert change.parameters["required"] == ["order", "note"]
    assert set(tree.parameters["properties"]) == {"body"}
    assert {tool.server for tool in tools} == {"shop"}


def test_arguments_go_where_they_belong(api):
    arguments = {"order": "7", "fields": ["a", "b"], "X-Trace": "t"}
    found = json.loads(called(api, "getOrder", **arguments).text)
    assert (found["method"], found["path"]) == ("GET", "/v1/orders/7?fields=a&fields=b")
    assert (found["trace"], found["known"]) == ("t", True)
    found = json.loads(called(api, "change_order", order="7", note="n", body_order=3).text)
    assert (found["path"], found["body"]) == ("/v1/orders/7", {"note": "n", "order": 3})
    assert json.loads(called(api, "tree", body=[1, 2]).text)["body"] == [1, 2]


@pytest.mark.parametrize(
    "evil", ["../admin", "a/b", "x?y=1", "x#y", "@evil.test", "//evil.test", "%2e%2e", "ü b"]
)
def test_no_argument_leaves_its_place(api, evil):
    path = json.loads(called(api, "getOrder", order=evil).text)["path"]
    assert path.startswith("/v1/orders/")
    assert path.count("/") == 3
    assert not {"?", "#", "@"} & set(path)


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("getOrder", {}, "'order' is a required property"),
        ("getOrder", {"order": ".."}, "order cannot be"),
        ("getOrder", {"order": "1", "more": 1}, "more"),
        ("getOrder", {"order": "1", "X-Trace": "a\r\nHost: evil"}, "plain letters"),
        ("getOrder", {"order": "teapot"}, "HTTP 418"),
        ("getOrder", {"order": "elsewhere"}, "HTTP 302"),
        ("nothing", {}, "no operation 'nothing'"),
    ],
)
def test_what_fails_is_an_error_result_without_secrets(api, name, arguments, said):
    result = called(api, name, **arguments)
    assert result.is_error
    assert said in result.text
    assert "s3cret" not in result.text + repr(api)


def test_a_server_that_is_not_there_is_an_error_result():
    gone = OpenAPIProvider("gone", DOCUMENT, "http://127.0.0.1:9", timeout=2.0)
    result = called(gone, "getOrder", order="1")
    assert (result.is_error, "127.0.0.1:9" in result.text) == (True, True)
    malformed = gone.run(Call(id="c", name="getOrder", malformed="{"), Scope())
    assert "not valid JSON" in malformed.text


def test_calls_can_be_awaited(api):
    call = Call(id="c", name="getOrder", arguments={"order": "1"})
    assert asyncio.run(api.arun(call, Scope())) == api.run(call, Scope())


def test_a_document_without_a_host_needs_a_base_url():
    with pytest.raises(BadInput, match="give base_url"):
        OpenAPIProvider("shop", {**DOCUMENT, "servers": [{"url": "/v1"}]})
    absolute = {**DOCUMENT, "servers": [{"url": "https://shop.test/v1"}]}
    assert len(OpenAPIProvider("shop", absolute).tools()) == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "cannot be read"),
        ("swagger: '2.0'", "no OpenAPI 3"),
        ("openapi: 3.0.0", "no `paths`"),
        ("[]", "no OpenAPI"),
    ],
)
def test_a_faulty_document_is_named(tmp_path, text, said):
    path = tmp_path / "api.yaml"
    path.write_text(text)
    with pytest.raises(BadInput, match=r"api\.yaml") as error:
        read_openapi(path)
    assert said in str(error.value)


def test_documents_are_read_as_yaml_and_as_json(tmp_path):
    for name, text in (("a.json", json.dumps(DOCUMENT)), ("a.yaml", "openapi: 3.0.1\npaths: {}\n")):
        (tmp_path / name).write_text(text)
        assert "paths" in read_openapi(tmp_path / name)


def test_a_reference_that_leads_nowhere_is_named():
    broken = {"openapi": "3.0.0", "paths": {"/a": {"get": {"parameters": [{"$ref": "#/components/no"}]}}}}
    with pytest.raises(BadInput, match="#/components/no"):
        OpenAPIProvider("a", broken, "http://x.test").tools()
