from dataclasses import replace

import numpy as np
import pytest

from ctxeng.chunks.configure import Agent, Configured
from ctxeng.chunks.configure_features import NAMES, features, kind, version
from ctxeng.chunks.configure_log import SelectionOutcome
from ctxeng.chunks.configure_train import train
from ctxeng.chunks.selectors.knapsack import Knapsack
from ctxeng.chunks.selectors.mmr import Mmr
from ctxeng.chunks.selectors.top_k import TopK
from ctxeng.errors import BadInput, UnknownName
from ctxeng.retrieval.embed import HashingEmbedder
from pools import random_pool

QUESTIONS = (
    "Who directed Alien?",
    "Which film is older, Alien or Heat?",
    "When was Norway founded?",
    "Are both rivers longer than the Rhine?",
    "How many people live in Oslo?",
    "Why did the Aztec empire fall?",
)
CANDIDATES = {"plain": TopK(), "diverse": Mmr(), "packed": Knapsack()}


def planted(found, name):
    """Comparisons are answered best with "diverse", everything else with "plain"."""
    comparing = found[NAMES.index("comparing")] > 0
    return {"plain": 0.35 if comparing else 0.75, "diverse": 0.75 if comparing else 0.4, "packed": 0.5}[name]


def nothing(_, name):
    """One configuration is better, on all questions alike."""
    return {"plain": 0.5, "diverse": 0.62, "packed": 0.45}[name]


def world(seed, count, rule, *, paired=True):
    """Outcomes as logged, 0 or 1 by a rule's chance: of all configurations, or of one at random."""
    draw = np.random.default_rng(seed)
    pools = [random_pool(1_000 * seed + number, 8) for number in range(40)]
    seen = [features(replace(pool, query=query), 100) for pool in pools for query in QUESTIONS]
    records = []
    for turn in range(count):
        found = seen[draw.integers(len(seen))]
        ease = draw.normal(0, 0.15)
        for name in CANDIDATES if paired else [str(draw.choice(list(CANDIDATES)))]:
            chance = float(np.clip(rule(found, name) + ease, 0, 1))
            records.append(
                SelectionOutcome(
                    turn=f"{seed}.{turn}",
                    configuration=name,
                    score=float(draw.random() < chance),
                    version=version(),
                    features=tuple(found.tolist()),
                )
            )
    return records


def expected(agent, records, rule):
    """The mean chance of success of what the agent picks, and of each single configuration."""
    seen = {record.turn: np.array(record.features) for record in records}.values()
    picked = np.mean([rule(found, agent.choose(found).configuration) for found in seen])
    return picked, {name: np.mean([rule(found, name) for found in seen]) for name in CANDIDATES}


@pytest.mark.parametrize(("count", "paired"), [(600, True), (1_500, False)])
def test_it_learns_a_planted_rule(count, paired):
    reached = []
    for seed in range(3):
        agent = train(world(seed, count, planted, paired=paired), default="plain")
        picked, single = expected(agent, world(seed + 100, 200, planted), planted)
        assert picked > max(single.values()) + 0.02
        reached.append(picked)
    assert np.mean(reached) > 0.71  # always right is 0.75, the best single configuration 0.62


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("count", [60, 300])
def test_where_there_is_nothing_to_learn_it_does_as_well_as_the_best_single_configuration(seed, count):
    agent = train(world(seed, count, nothing), default="diverse")
    picked, single = expected(agent, world(seed + 100, 200, nothing), nothing)
    assert picked >= max(single.values()) - 0.01


@pytest.mark.parametrize("seed", range(3))
def test_a_default_that_is_plainly_worse_on_the_whole_is_not_fallen_back_to(seed):
    agent = train(world(seed, 500, nothing), default="packed")
    assert agent.fallback == "diverse"
    picked, single = expected(agent, world(seed + 100, 200, nothing), nothing)
    assert picked >= single["diverse"] - 0.01


def test_with_too_few_outcomes_it_abstains_and_says_so():
    records = world(0, 29, nothing)
    choice = train(records, default="plain").choose(np.zeros(len(NAMES)))
    assert choice.configuration == "plain"
    assert "abstains" in choice.note
    assert "30 needed (diverse 29, packed 29, plain 29)" in choice.note


def test_a_configuration_with_too_few_outcomes_is_no_candidate():
    records = world(0, 200, nothing)
    thin = [record for record in records if record.configuration != "diverse" or int(record.turn[2:]) < 20]
    agent = train(thin, default="plain")
    assert sorted(agent.heads) == ["packed", "plain"]
    assert agent.thin == {"diverse": 20}
    default_thin = train(thin, default="diverse")
    assert "diverse 20" in default_thin.choose(np.zeros(len(NAMES))).note
    never_tried = train(thin, default="other")
    assert never_tried.choose(np.zeros(len(NAMES))).configuration == "other"


def test_training_does_not_depend_on_the_order_of_the_records():
    records = world(3, 120, planted)
    assert train(records, default="plain") == train(records[::-1], default="plain")


def test_features_far_from_what_was_learned_from_move_nothing_further_than_the_edge_does():
    agent = train(world(0, 300, planted), default="plain").model_copy(update={"caution": 0.0})
    centre, scale = np.array(agent.centre), np.array(agent.scale)
    toward = np.array([name == "comparing" for name in NAMES])
    edge = agent.choose(centre + 3 * scale * toward)
    assert edge.gain > 0
    assert agent.choose(centre + 3_000 * scale * toward) == edge
    assert agent.choose(centre + 2 * scale * toward) != edge


# -- the file and its refusals -------------------------------------------------------------------------


def test_an_agent_survives_its_file(tmp_path):
    agent = train(world(0, 100, planted), default="plain")
    agent.save(tmp_path / "agent.json")
    assert Agent.load(tmp_path / "agent.json") == agent


def test_a_file_that_is_no_agent_is_refused_by_name(tmp_path):
    path = tmp_path / "agent.json"
    whole = train(world(0, 100, planted), default="plain").model_dump_json()
    broken = (
        "",
        "{}",
        whole.replace('"format":1', '"format":2'),
        whole.replace('"centre":[', '"centre":[0.5,'),
    )
    for text in broken:
        assert text != whole
        path.write_text(text)
        with pytest.raises(BadInput, match=r"agent\.json: no configuration agent"):
            Agent.load(path)
    with pytest.raises(BadInput, match=r"gone\.json: no configuration agent"):
        Agent.load(tmp_path / "gone.json")


def test_an_agent_of_other_features_is_refused():
    agent = train(world(0, 100, planted), default="plain")
    with pytest.raises(BadInput, match="train it again"):
        Configured(CANDIDATES, "plain", agent, HashingEmbedder(32))
    with pytest.raises(BadInput, match="train it again"):
        Configured(CANDIDATES, "plain", agent.model_copy(update={"version": "0"}))


def test_an_agent_of_another_default_is_refused():
    with pytest.raises(BadInput, match="trained for the default 'plain'"):
        Configured(CANDIDATES, "packed", train(world(0, 100, planted), default="plain"))


def test_names_that_are_no_candidates_are_refused():
    with pytest.raises(UnknownName, match="unknown configuration 'other'; known: diverse, packed, plain"):
        Configured(CANDIDATES, "other")
    agent = train(world(0, 100, planted), default="plain")
    with pytest.raises(UnknownName, match="diverse"):
        Configured({"plain": TopK()}, "plain", agent)


@pytest.mark.parametrize("other", [{"version": "0"}, {"features": (0.5,)}])
def test_outcomes_of_two_feature_versions_are_refused(other):
    records = world(0, 40, nothing)
    with pytest.raises(BadInput, match="one feature version"):
        train([*records, records[0].model_copy(update=other)], default="plain")
    with pytest.raises(BadInput, match="none"):
        train([], default="plain")


def test_a_single_outcome_is_never_enough():
    with pytest.raises(BadInput, match="minimum is 1"):
        train(world(0, 40, nothing), default="plain", minimum=1)


# -- selecting -----------------------------------------------------------------------------------------


def test_without_an_agent_it_is_the_default():
    pool = random_pool(seed=1, count=12)
    found = Configured(CANDIDATES, "packed").select(pool, 100)
    assert found.chosen == Knapsack().select(pool, 100).chosen
    assert found.note == "configuration packed"


def test_a_trained_agent_selects_with_what_it_picked_and_says_which_and_why():
    configured = Configured(CANDIDATES, "plain", train(world(0, 600, planted), default="plain"))
    comparing = random_pool(seed=4, count=8, query="Which film is older, Alien or Heat?")
    found = configured.select(comparing, 100)
    assert found.chosen == Mmr().select(comparing, 100).chosen
    assert found.note.startswith("configuration diverse; expected gain 0.")
    plain = random_pool(seed=4, count=8, query="Who directed Alien?")
    assert configured.select(plain, 100).note == "configuration plain; no configuration is clearly better"


def test_what_it_logs_is_what_it_would_decide_on():
    configured = Configured(CANDIDATES, "plain", encoder=HashingEmbedder(32))
    pool = random_pool(seed=4, count=12)
    outcome = configured.outcome("turn-1", pool, 100, "diverse", 0.5)
    vector = HashingEmbedder(32).embed([pool.query])[0]
    assert outcome.features == tuple(features(pool, 100, vector).tolist())
    assert outcome.version == configured.version != version()
    with pytest.raises(UnknownName, match="other"):
        configured.outcome("turn-1", pool, 100, "other", 0.5)


# -- features ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Who is it?", "who"),
        ("In which year was it?", "which"),
        ("How many are there?", "amount"),
        ("How does it work?", "how"),
        ("Are both of them rivers?", "yes or no"),
        ("Whose hat is it?", "who"),
        ("Show me the list", ""),
        ("", ""),
    ],
)
def test_a_question_has_the_kind_of_its_asking_word(question, expected):
    assert kind(question) == expected


def test_the_question_s_words_are_counted():
    pool = random_pool(seed=0, count=3, query='Is Ridley Scott older than "the other one" in 1979?')
    found = dict(zip(NAMES, features(pool, 100), strict=True))
    assert (found["names"], found["comparing"], found["numbers"]) == (2, 2, 1)
    assert found["yes or no"] == 1


def test_features_are_as_many_as_their_names_and_finite_for_any_pool():
    for count in (0, 1, 2, 30):
        for tokens in (-5, 0, 50):
            found = features(random_pool(seed=0, count=count), tokens)
            assert found.shape == (len(NAMES),)
            assert np.isfinite(found).all()


def test_folded_vectors_keep_who_is_near_whom():
    draw = np.random.default_rng(0)
    pool = random_pool(seed=0, count=3)
    one, other = (rows / np.linalg.norm(rows) for rows in draw.normal(size=(2, 384)).astype(np.float32))
    near = (one + 0.3 * other) / np.linalg.norm(one + 0.3 * other)
    first, close, far = (features(pool, 9, vector)[-16:] for vector in (one, near, other))
    assert np.linalg.norm(first - close) < 0.5 * np.linalg.norm(first - far)
