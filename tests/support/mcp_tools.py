"""An MCP server for tests: over standard streams, or over HTTP at the port that is given."""

import os
import sys
import time

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp_types import ImageContent, TextContent

server = MCPServer("tests")


@server.tool()
def add(a: int, b: int) -> int:
    """The sum of two numbers."""
    return a + b


@server.tool()
def fail() -> str:
    """Always fails."""
    raise ValueError("this tool is broken")


@server.tool()
def sleep(seconds: float) -> str:
    """Takes its time."""
    time.sleep(seconds)
    return "awake"


@server.tool()
def die() -> str:
    """Ends the server at once."""
    os._exit(9)


@server.tool()
def secret() -> str:
    """What the environment holds for it."""
    return os.environ.get("SECRET", "")


@server.tool(structured_output=False)
def mixed() -> list[TextContent | ImageContent]:
    """A text and a picture."""
    return [TextContent(text="look"), ImageContent(data="AAAA", mime_type="image/png")]


def subtract(a: int, b: int) -> int:
    """The difference of two numbers."""
    return a - b


@server.tool()
async def learn(ctx: Context) -> str:
    """Gives the server one more tool."""
    server.add_tool(subtract)
    await ctx.session.send_tool_list_changed()
    return "learned"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        server.run("streamable-http", port=int(sys.argv[1]))
    else:
        server.run("stdio")
