"""The loaders: counts of every dataset, hand-checked records, and what they say of malformed files."""

import json
from collections import Counter

import pytest

from ctxeng_evals.registry import entries, load
from loaded import by_id, gold_texts

CASES = {
    "2wikimultihop": 500,
    "2wikimultihop:pooled": 500,
    "hotpotqa": 198,
    "hotpotqa:dev": 98,
    "hotpotqa:train": 100,
    "hotpotqa:pooled": 198,
    "musique": 100,
    "musique:pooled": 100,
    "strategyqa": 229,
    "tatqa": 1668,
    "beam-100k": 120,
    "beam-100k:11": 20,
    "bfcl-memory": 155,
    "bfcl-memory:student": 50,
    "qmsum": 237,
    "babi": 20_000,
    "babi:qa2": 1000,
    "toolbench-solvable": 765,
    "metatool": 2062,
    "metatool:all": 20_614,
    "metatool:two": 497,
    "mcp-catalogues": 0,
    "mcp-catalogues:docker": 0,
    "bfcl-multi-turn": 731,
    "ace-finance": 1000,
    "ace-finance:finer": 1000,
    "ace-finance:formula": 300,
    "ace-finance:formula-train": 500,
    "bbh": 3146,
    "bbh:navigate": 250,
    "bbh:penguins_in_a_table": 146,
    "gsm8k": 1000,
    "game24": 1362,
    "dynamic-cheatsheet": 250,
    "dynamic-cheatsheet:log": 139,
    "reflexion-alfworld": 536,
    "reflexion-alfworld:9": 134,
    "tau-bench-airline": 100,
    "swe-agent-trajectories": 11,
    "kv-retrieval": 500,
    "gutenberg": 0,
    "tiny-text": 0,
}


POOLED = {
    "2wikimultihop:pooled": 3301,
    "hotpotqa:pooled": 1966,
    "musique:pooled": 1890,
    "strategyqa": 594,
    "beam-100k": 1516,
    "bfcl-memory": 323,
    "qmsum": 20_123,
    "toolbench-solvable": 2490,
    "metatool": 199,
    "mcp-catalogues": 872,
    "mcp-catalogues:docker": 755,
    "bfcl-multi-turn": 128,
    "gutenberg": 4926,
    "tiny-text": 64_810,
}


@pytest.fixture(scope="module")
def sets(data):
    """Every dataset and part above, loaded once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CTXENG_DATA", str(data))
        return {name: load(name) for name in CASES}


# -- all of them ---------------------------------------------------------------------------------------


def test_every_dataset_has_as_many_cases_and_pooled_items_as_it_says(sets):
    assert {name.partition(":")[0] for name in CASES} == set(entries())
    assert {name: len(dataset.cases) for name, dataset in sets.items()} == CASES
    pooled = {name: sum(map(len, dataset.pools.values())) for name, dataset in sets.items()}
    assert {name: pooled[name] for name in POOLED} == POOLED


def test_gold_is_among_the_items_and_ids_are_unique(sets):
    for dataset in sets.values():
        pools = {name: {item.id for item in items} for name, items in dataset.pools.items()}
        assert all(len(ids) == len(dataset.pools[name]) for name, ids in pools.items())
        assert len({case.id for case in dataset.cases}) == len(dataset.cases)
        for case in dataset.cases:
            own = {item.id for item in case.items}
            assert len(own) == len(case.items)
            shared = pools[case.pool] if case.pool else set()
            assert not own & shared
            assert all(gold in own or gold in shared for gold in case.gold)


def test_every_case_has_a_group_and_a_question(sets):
    for dataset in sets.values():
        assert all(case.group and case.question for case in dataset.cases), dataset.name


# -- hand-checked records ------------------------------------------------------------------------------


def test_a_wiki_question_has_its_sentences_in_reading_order(sets):
    case = sets["2wikimultihop"].cases[0]
    assert case.gold == ("Charles Mathew#2", "James Charles Mathew#1")
    assert case.target == "Cork"
    assert case.items[0].id == "Anthony Robinson (Unitarian)#0"
    assert case.items[0].title == case.items[0].source == "Anthony Robinson (Unitarian)"
    kinds = Counter(case.tags["type"] for case in sets["2wikimultihop"].cases)
    assert kinds == {"compositional": 202, "bridge_comparison": 130, "comparison": 104, "inference": 64}
    assert sets["2wikimultihop:pooled"].cases[0].gold == ("Charles Mathew", "James Charles Mathew")


def test_hotpot_gold_is_the_supporting_sentences(sets):
    case = sets["hotpotqa:dev"].cases[0]
    assert case.gold == ("The Newcomers (film)#0", "Chris Evans (actor)#1")
    assert "superhero roles as the Marvel Comics" in gold_texts(sets["hotpotqa:dev"], case)[1]
    assert {len(case.gold) for case in sets["hotpotqa:pooled"].cases} == {2}


def test_musique_gold_is_a_proxy_that_holds_the_hops_answers_where_a_sentence_does(sets):
    musique = sets["musique"]
    assert Counter(case.tags["hops"] for case in musique.cases) == {2: 68, 3: 27, 4: 5}
    texts = {case.id: " ".join(gold_texts(musique, case)).lower() for case in musique.cases}
    held = [any(answer.lower() in texts[case.id] for answer in case.target) for case in musique.cases]
    assert sum(held) >= 95
    assert all(len(case.gold) == case.tags["hops"] for case in sets["musique:pooled"].cases)


def test_strategyqa_asks_for_its_own_facts_among_all(sets):
    case = sets["strategyqa"].cases[0]
    assert gold_texts(sets["strategyqa"], case)[0] == "Albany, GA has around 75,000 people"
    assert (case.target, case.choices) == ("no", ("yes", "no"))


def test_tatqa_gold_is_the_table_where_the_answer_is_from_it(sets):
    first, second = sets["tatqa"].cases[:2]
    assert first.gold == ("paragraph-2",)
    assert second.gold == ("table", "paragraph-2")
    assert "Total sales | $1,496.5" in first.items[0].text
    paragraphs = [case for case in sets["tatqa"].cases if any(gold != "table" for gold in case.gold)]
    assert sum(len(case.items) > 3 for case in paragraphs) == 720
    assert len({case.group for case in sets["tatqa"].cases}) == 278


def test_beam_has_gold_for_all_but_abstention_and_no_artefact(sets):
    beam = sets["beam-100k"]
    assert sum(bool(case.gold) for case in beam.cases) == 108
    assert {case.tags["ability"] for case in beam.cases if not case.gold} == {"abstention"}
    assert all(case.target for case in beam.cases)
    assert by_id(beam)["1/contradiction_resolution-1"].gold == ("58", "24")
    assert not any("->->" in item.text for pool in beam.pools.values() for item in pool)
    assert [item.role for item in beam.pools["1"][:2]] == ["user", "assistant"]


def test_bfcl_memory_has_an_accepted_string_for_145_of_155(sets):
    memory = sets["bfcl-memory"]
    assert sum(bool(case.gold) for case in memory.cases) == 145
    case = by_id(memory)["memory_0-customer-0"]
    assert case.target == ["Michael"]
    assert case.gold[0] == "memory_prereq_0-customer-0/1"
    for case in memory.cases:
        for text in gold_texts(memory, case):
            assert any(accepted.lower() in text.lower() for accepted in case.target)
    assert Counter(case.group for case in memory.cases) == {
        "student": 50, "customer": 30, "finance": 25, "healthcare": 25, "notetaker": 25,
    }  # fmt: skip


def test_qmsum_gold_is_a_tenth_of_the_words(sets):
    meetings = sets["qmsum"]
    assert len(meetings.pools) == 35
    assert meetings.cases[0].gold == tuple(map(str, range(459, 531)))
    share = [
        sum(len(text.split()) for text in gold_texts(meetings, case))
        / sum(len(item.text.split()) for item in meetings.pools[case.pool])
        for case in meetings.cases
    ]
    assert 0.09 < sum(share) / len(share) < 0.13


def test_babi_items_are_what_was_told_so_far(sets):
    first, second = sets["babi"].cases[:2]
    assert [item.text for item in first.items] == ["Mary moved to the bathroom.", "John went to the hallway."]
    assert (first.question, first.target, first.gold) == ("Where is Mary?", "bathroom", ("1",))
    assert (second.group, second.turn, len(second.items)) == (first.group, 2, 4)
    counts = Counter(case.tags["task"] for case in sets["babi"].cases)
    assert counts == {f"qa{number}": 1000 for number in range(1, 21)}
    assert sets["babi:qa2"].cases[0] == next(case for case in sets["babi"].cases if case.id[:4] == "qa2/")


def test_tools_are_shown_as_function_schemas(sets):
    for name in ("toolbench-solvable", "metatool", "mcp-catalogues", "bfcl-multi-turn"):
        for item in sets[name].pools["tools"]:
            shown = json.loads(item.shown)
            assert shown["type"] == "function"
            assert 0 < len(shown["function"]["name"]) <= 64
            assert shown["function"]["parameters"]["type"] == "object"
            assert item.kind == "tool"
    cat = next(item for item in sets["bfcl-multi-turn"].pools["tools"] if item.id == "cat")
    assert cat.text.startswith("cat: Display the contents of a file")
    assert json.loads(cat.shown)["function"]["parameters"]["required"] == ["file_name"]


def test_toolbench_queries_have_their_relevant_endpoints(sets):
    case = by_id(sets["toolbench-solvable"])["588"]
    assert case.gold == ("Data/TheClique/Transfermarkt search", "Data/TheClique/Transfermarkt details")
    assert case.tags == {"split": "G1_instruction"}


def test_metatool_takes_every_tenth_row_and_two_tools_where_asked(sets):
    every = sets["metatool:all"].cases
    assert sets["metatool"].cases == every[::10]
    assert every[0].gold == (every[0].target,) == ("ResearchHelper",)
    assert sets["metatool:two"].cases[0].gold == ("FinanceTool", "NewsTool")
    assert len({gold for case in sets["metatool:two"].cases for gold in case.gold}) == 15


def test_bfcl_turns_have_the_functions_they_call(sets):
    turns = sets["bfcl-multi-turn"].cases
    assert turns[0].gold == ("cd", "mkdir", "mv")
    assert (turns[1].group, turns[1].turn, turns[1].gold) == ("multi_turn_base_0", 1, ("cd", "grep"))
    assert len({gold for case in turns for gold in case.gold}) == 81
    assert len({case.group for case in turns}) == 200


def test_learning_tasks_have_their_targets(sets):
    finer = sets["ace-finance"]
    assert finer.cases[0].target == "MinorityInterestOwnershipPercentageByParent"
    assert all(case.target in case.choices for case in finer.cases)
    assert len({case.target for case in finer.cases}) == 128
    assert len({case.group for case in finer.cases}) == 250
    assert sets["ace-finance:formula"].cases[0].target == "5.0"
    chosen = [case for case in sets["bbh"].cases if case.choices]
    assert all(case.target in case.choices for case in chosen)
    assert len({case.tags["task"] for case in chosen}) == 9
    assert by_id(sets["bbh"])["date_understanding-1"].target == "12/25/1937"
    assert sets["gsm8k"].cases[0].target == "72"
    assert sets["game24"].cases[0].tags == {"numbers": "1 1 4 6", "rank": 1, "solved": pytest.approx(0.992)}
    assert sets["dynamic-cheatsheet"].cases[0].target == "19 - 8 * 28 = -205"
    assert sets["dynamic-cheatsheet:log"].cases[0].items[0].kind == "entry"


def test_reflections_and_successes_are_those_of_the_trials(sets):
    found = Counter()
    for case in sets["reflexion-alfworld"].cases:
        found[case.turn, "success"] += int(case.tags["success"])
        found[case.turn, "reflections"] += len(case.items)
    expected = {0: (84, 50), 4: (117, 142), 9: (129, 188), 14: (134, 200)}
    assert {trial: (found[trial, "success"], found[trial, "reflections"]) for trial in expected} == expected


def test_airline_gold_is_where_an_argument_first_appears(sets):
    airline = sets["tau-bench-airline"]
    assert sum(case.tags["reward"] == 1 for case in airline.cases) == 43
    assert sum(len(case.items) for case in airline.cases) == 2658
    case = by_id(airline)["0/0"]
    assert case.gold[0] == "3"
    assert "mia_li_3668" in gold_texts(airline, case)[0]
    assert all(
        "system" not in {item.role for item in case.items if item.id in case.gold} for case in airline.cases
    )


def test_a_trajectory_starts_from_its_task_and_not_from_the_demonstration(sets):
    cases = by_id(sets["swe-agent-trajectories"])
    assert all("currently solving" in case.question for case in cases.values())
    demonstrated = cases["pydicom-1458__gpt4"]
    assert demonstrated.question == demonstrated.items[2].text
    assert len(cases["ctf_crypto_katy"].items) == 37


def test_pairs_hold_their_value_where_the_tag_says(sets):
    for case in sets["kv-retrieval"].cases:
        assert len(case.items) == 75
        item = case.items[case.tags["position"]]
        assert case.gold == (item.id,)
        assert case.target in item.text


def test_text_pools_are_whole(sets):
    pools = {**sets["gutenberg"].pools, **sets["tiny-text"].pools}
    assert len(pools["names"]) == 32_033
    assert pools["moby-dick"][0].text == "MOBY-DICK;"
    assert sum("universally acknowledged" in item.text for item in pools["pride-and-prejudice"]) == 1
