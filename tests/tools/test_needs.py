"""Prerequisites: which tool gives the id that another asks for."""

from ctxeng.tools.catalogue import Catalogue
from ctxeng.tools.needs import closed, needs, producers
from ctxeng.turn import Tool


def tool(name, *required, server="s"):
    properties = {each: {"type": "string"} for each in required}
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return Tool(name=name, description=name, parameters=schema, server=server)


PLAY = tool("play_playlist", "playlist_id", "volume")
FIND = tool("search_playlists", "query")
MAKE = tool("create_playlist", "title", "mood")
DELETE = tool("delete_playlist", "playlist_id")
LOOK = tool("get_playlist", "playlist_id")


def test_a_need_is_a_required_parameter_that_holds_an_id():
    assert [(need.parameter, need.what) for need in needs(PLAY)] == [("playlist_id", {"playlist"})]
    assert list(needs(tool("ping", "host", "monkey"))) == []
    assert [need.what for need in needs(tool("f", "orderItemId", "apiKey"))] == [{"order", "item"}, {"api"}]
    assert list(needs(Tool(name="odd", parameters={"type": "object", "required": "id"}))) == []


def test_finding_comes_before_making_and_who_asks_for_the_same_id_gives_none():
    (need,) = needs(PLAY)
    able = producers(need, [DELETE, MAKE, LOOK, FIND, PLAY])
    assert [each.name for each in able] == ["search_playlists", "create_playlist"]


def test_what_is_needed_is_put_behind_within_the_room():
    catalogue = Catalogue()
    catalogue.add([PLAY, FIND, MAKE, DELETE, LOOK])
    assert closed(["play_playlist"], catalogue, 3) == ["play_playlist", "search_playlists"]
    assert closed(["play_playlist"], catalogue, 1) == ["play_playlist"]
    assert closed(["play_playlist", "create_playlist"], catalogue, 5) == ["play_playlist", "create_playlist"]
    assert closed(["gone"], catalogue, 5) == ["gone"]


def test_needs_of_needs_follow_and_other_servers_are_not_asked():
    catalogue = Catalogue()
    catalogue.add([PLAY, tool("search_playlists", "user_id"), tool("find_user", "email")])
    catalogue.add([tool("search_playlists_quickly", server="other")])
    assert closed(["play_playlist"], catalogue, 9) == ["play_playlist", "search_playlists", "find_user"]
