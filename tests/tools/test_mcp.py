"""MCP servers as tools: real servers over standard streams and HTTP, that fail, change, hang and die."""

import asyncio
import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("mcp", reason="needs the extra `mcp`")

from ctxeng.errors import BadInput, BadSettings, MissingKey
from ctxeng.tools.catalogue import Catalogue
from ctxeng.tools.mcp import McpProvider, McpServer, read_mcp_config
from ctxeng.tools.providers import Providers
from ctxeng.turn import Call, Scope

SCRIPT = str(Path(__file__).parents[1] / "support" / "mcp_tools.py")
NAMES = {"add", "fail", "sleep", "die", "secret", "mixed", "learn"}


def child(name="tests", timeout=20.0, **env):
    return McpProvider(name, McpServer(command=sys.executable, args=(SCRIPT,), env=env), timeout)


@pytest.fixture
def provider():
    found = child(SECRET="s3cret")
    yield found
    found.close()


@pytest.fixture
def url():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, SCRIPT, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    yield f"http://127.0.0.1:{port}/mcp"
    server.kill()
    server.wait()


def called(provider, name, **arguments):
    return provider.run(Call(id="c", name=name, arguments=arguments), Scope())


def test_tools_are_listed_with_their_schemas_and_calls_run(provider):
    tools = {tool.name: tool for tool in provider.tools()}
    assert set(tools) == NAMES
    assert tools["add"].description == "The sum of two numbers."
    assert set(tools["add"].parameters["properties"]) == {"a", "b"}
    assert {tool.server for tool in tools.values()} == {"tests"}
    assert called(provider, "add", a=2, b=3).text == "5"
    assert called(provider, "secret").text == "s3cret"
    assert called(provider, "mixed").text == "look\n[image, image/png, 3 bytes, not shown]"


def test_nothing_starts_before_it_is_used_and_nothing_is_left_after_closing():
    found = child()
    before = threading.active_count()
    assert found.problems == ()
    found.tools()
    assert threading.active_count() > before
    process = found._session._thread
    found.close()
    assert not process.is_alive()
    assert called(found, "add", a=1, b=1).text == "2"  # closed is not the end
    found.close()


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [("fail", {}, "fail"), ("nowhere", {}, "nowhere"), ("add", {"a": "x"}, "a")],
)
def test_what_a_server_refuses_is_an_error_result_and_the_connection_stands(provider, name, arguments, said):
    result = called(provider, name, **arguments)
    assert result.is_error
    assert said in result.text
    assert called(provider, "add", a=1, b=1).text == "2"
    assert provider.problems == ()


def test_a_malformed_call_never_reaches_the_server(provider):
    result = provider.run(Call(id="c", name="add", malformed="{a"), Scope())
    assert (result.is_error, "not valid JSON" in result.text) == (True, True)
    assert provider._session is None


def test_a_server_that_learns_a_tool_is_read_again(provider):
    catalogue = Catalogue()
    providers = Providers(catalogue, [provider])
    providers.refresh()
    assert "subtract" not in catalogue
    assert called(provider, "learn").text == "learned"
    providers.refresh()
    assert "subtract" in catalogue
    assert providers.run(Call(id="c", name="subtract", arguments={"a": 5, "b": 3}), Scope()).text == "2"


def test_a_server_that_dies_is_reported_and_comes_back(provider):
    version = provider.version
    result = called(provider, "die")
    assert result.is_error
    assert "'tests'" in result.text
    assert provider.problems
    assert called(provider, "add", a=2, b=2).text == "4"
    assert provider.version > version
    provider.tools()
    assert provider.problems == ()


def test_a_tool_that_hangs_is_an_error_within_the_timeout():
    found = child(timeout=4.0)
    try:
        found.tools()
        start = time.monotonic()
        result = called(found, "sleep", seconds=30)
        assert time.monotonic() - start < 12
        assert (result.is_error, "did not answer within 4 s" in result.text) == (True, True)
    finally:
        found.close()


def test_calls_can_be_awaited_side_by_side(provider):
    async def both():
        calls = [Call(id=str(n), name="add", arguments={"a": n, "b": n}) for n in range(5)]
        return await asyncio.gather(*(provider.arun(call, Scope()) for call in calls))

    assert [result.text for result in asyncio.run(both())] == ["0", "2", "4", "6", "8"]


def test_two_servers_of_the_same_tools_keep_apart():
    first, second = child("one", SECRET="1"), child("two", SECRET="2")
    try:
        catalogue = Catalogue()
        providers = Providers(catalogue, [first, second])
        providers.refresh()
        texts = [providers.run(Call(id="c", name=name), Scope()).text for name in ("secret", "two__secret")]
        assert texts == ["1", "2"]
    finally:
        first.close()
        second.close()


def test_a_server_behind_a_url_works_the_same(url):
    found = McpProvider("web", McpServer(url=url), 20.0)
    try:
        assert {tool.name for tool in found.tools()} == NAMES
        assert called(found, "add", a=20, b=22).text == "42"
    finally:
        found.close()


def test_a_server_that_cannot_be_started_says_so_and_is_not_tried_at_once():
    found = McpProvider("gone", McpServer(command="no-such-command-here"), 5.0)
    with pytest.raises(BadInput, match=r"'gone'.*cannot be reached"):
        found.tools()
    assert "tried again" in called(found, "x").text
    found.close()


def test_a_file_of_servers_is_read_with_what_the_environment_holds(tmp_path):
    path = tmp_path / "mcp.json"
    path.write_text(
        json.dumps(
            {
                "mcpServers": {
                    "files": {"command": "serve", "args": ["--key", "${KEY}"], "cwd": "data"},
                    "web": {"type": "http", "url": "https://x.test/mcp", "headers": {"A": "Bearer ${KEY}"}},
                }
            }
        )
    )
    files, web = read_mcp_config(path, {"KEY": "s3cret"})
    assert files.server.args == ("--key", "s3cret")
    assert files.server.cwd == str(tmp_path / "data")
    assert web.server.headers == {"A": "Bearer s3cret"}
    assert "s3cret" not in repr(files) + repr(web)
    with pytest.raises(MissingKey, match=r"'files'.*KEY"):
        read_mcp_config(path, {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read"),
        ("[]", "no servers"),
        ('{"mcpServers": {"a": {}}}', "'a' needs either"),
        ('{"mcpServers": {"a": {"command": "x", "url": "y"}}}', "'a' needs either"),
        ('{"mcpServers": {"a": {"command": "x", "colour": "red"}}}', "'colour'"),
        ('{"mcpServers": {"a": {"command": "x", "args": "y"}}}', "args is a list"),
        ('{"mcpServers": {"a": {"command": "x", "env": {"A": 1}}}}', "env.A has to be a text"),
    ],
)
def test_a_faulty_file_is_named_with_its_server(tmp_path, text, said):
    path = tmp_path / "mcp.json"
    path.write_text(text)
    with pytest.raises(BadSettings, match=r"mcp\.json") as error:
        read_mcp_config(path, {})
    assert said in str(error.value)
