"""Servers and one catalogue: kept in step, calls find their server, one that dies is survived."""

import asyncio

import pytest

from ctxeng.errors import BadInput
from ctxeng.tools.catalogue import Catalogue
from ctxeng.tools.functions import Functions
from ctxeng.tools.providers import Providers
from ctxeng.turn import Call, Scope
from toolsets import FLIGHT, REFUND, WEATHER, Server, app, blocks, call, results, search, steps_of, tool
from turns import SUM, add

SCOPE = Scope()


def providers(*servers, **fields):
    made = Providers(Catalogue(), servers, **fields)
    made.refresh()
    return made


def names(made):
    return [each.name for each in made.catalogue]


def both_ways(made, made_call):
    one, other = made.run(made_call, SCOPE), asyncio.run(made.arun(made_call, SCOPE))
    assert one == other
    return one


def test_calls_reach_their_server_under_its_own_name_for_the_tool():
    one, other = Server("a", tool("find it")), Server("b", tool("find it"))
    made = providers(one, other)
    assert names(made) == ["find_it", "b__find_it"]
    assert both_ways(made, call("b__find_it", "id", x=1)).text == "b ran find it"
    assert other.calls[0] == Call(id="id", name="find it", arguments={"x": 1})
    assert one.calls == []


def test_what_is_malformed_stays_so():
    made = providers(Server("a", WEATHER))
    assert both_ways(made, Call(id="k", name="weather", malformed="{")).is_error


def test_calls_of_other_tools_go_to_the_rest_or_to_nobody():
    assert both_ways(providers(rest=Functions.of(add)), SUM).text == "5"
    nobody = both_ways(providers(Server("a", WEATHER)), SUM)
    assert (nobody.call_id, nobody.is_error) == ("k1", True)
    assert "'add'" in nobody.text


def test_a_server_is_read_again_only_when_its_tools_have_changed():
    server = Server("a", WEATHER, FLIGHT)
    made = providers(server)
    server.listed = (REFUND,)  # without saying so
    made.refresh()
    assert names(made) == ["weather", "find_flight"]
    server.offer(FLIGHT, REFUND)
    made.refresh()
    assert names(made) == ["find_flight", "refund"]


def test_what_changes_while_a_server_is_read_is_read_the_next_time():
    class Hasty(Server):
        def tools(self):
            found = super().tools()
            if self.version == 0:
                self.offer(REFUND)
            return found

    made = providers(Hasty("a", WEATHER))
    assert names(made) == ["weather"]
    made.refresh()
    assert names(made) == ["refund"]


def test_a_server_that_dies_keeps_its_tools_and_is_named_until_it_answers_again():
    server = Server("met", WEATHER)
    made = providers(server, Server("air", FLIGHT))
    server.fault, server.version = ConnectionError("gone"), 1
    made.refresh()
    assert names(made) == ["weather", "find_flight"]
    assert made.problems == {"met": "ConnectionError: gone"}
    server.fault = None
    made.refresh()
    assert made.problems == {}


def test_a_server_that_never_answered_leaves_the_others_their_tools():
    dead = Server("dead", WEATHER)
    dead.fault = TimeoutError()
    made = providers(dead, Server("air", FLIGHT))
    assert names(made) == ["find_flight"]
    assert list(made.problems) == ["dead"]


def test_a_server_whose_tools_make_no_sense_keeps_those_it_had_and_is_named():
    server = Server("met", WEATHER)
    made = providers(server, Server("air", FLIGHT))
    server.offer(tool(" "), REFUND)
    made.refresh()
    assert names(made) == ["weather", "find_flight"]
    assert "has no name" in made.problems["met"]


def test_a_turn_goes_on_when_a_server_fails():
    dead = Server("dead", WEATHER)
    dead.fault = OSError("no such command")
    model = steps_of([search("flights")], [call("find_flight")])
    turn = app(model, [dead, Server("air", FLIGHT)]).invoke("hello")
    assert results(turn)[1] == "air ran find_flight"
    assert blocks(model)[1] == ["search_tools", "find_flight"]


def test_two_servers_of_one_name_are_refused():
    with pytest.raises(BadInput, match="named 'a'"):
        Providers(Catalogue(), [Server("a"), Server("a")])


def test_a_call_of_a_tool_that_has_just_left_is_nobodys():
    made = providers(Server("a", WEATHER))
    made.catalogue.remove_server("a")
    assert "nothing here runs 'weather'" in both_ways(made, call("weather")).text


def test_all_servers_are_closed_also_where_one_fails():
    class Stuck(Server):
        def close(self):
            raise OSError("stuck")

    servers = [Server("a"), Stuck("b"), Server("c")]
    with pytest.raises(OSError, match="stuck"):
        providers(*servers).close()
    assert servers[0].closed
    assert servers[2].closed
