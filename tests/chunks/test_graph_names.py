import pytest

from ctxeng.chunks.graph.names import Names, key_of, runs, short_name, words_of


def run_texts(text):
    words = words_of(text)
    return [text[words[start].start : words[end - 1].end] for start, end in runs(words)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ada Lovelace", "ADA LOVELACE"),
        ("Ada Lovelace's", "Ada Lovelace"),
        ("Ada Lovelace\u2019s", "Ada Lovelace"),
        ("displays", "Display"),
        ("Batteries", "battery"),
        ("U.S. Army", "US army"),
        ("Spider-Man", "spider man"),
        ("Beyoncé Knowles", "Beyonce Knowles"),
        ('"Heat"', "Heat"),
    ],
)
def test_spellings_of_one_name_share_a_key(one, other):
    assert key_of(one) == key_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("Mars", "Mar"), ("Glass", "Glas"), ("Paris", "Pari"), ("C++", "C"), ("C#", "C++"), ("-5", "5")],
)
def test_what_merely_looks_like_another_name_is_its_own(one, other):
    assert key_of(one) != key_of(other)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("In London, Ada Lovelace met Charles Babbage.", ["Ada Lovelace", "Charles Babbage"]),
        ("The University of Oxford is old.", ["University of Oxford"]),
        ("Ada Lovelace and Mary Somerville wrote.", ["Ada Lovelace", "Mary Somerville"]),
        ("J. K. Rowling wrote it.", ["J. K. Rowling"]),
        ("Apollo 11 landed in July 1969.", ["Apollo 11"]),
        ("James Cameron's Titanic won.", ["James Cameron"]),
        ("She lives there. He does not.", []),
    ],
)
def test_capitalised_runs_are_names(text, names):
    assert run_texts(text) == names


def test_a_heading_path_and_a_parenthesis_are_not_what_a_text_calls_it():
    assert short_name("Planets > Mercury (planet)") == "Mercury"
    assert short_name("(untitled)") == "(untitled)"


def known(*names, capital=False):
    found = Names()
    for place, name in enumerate(names):
        found.add(name, place, capital=capital)
    return found


def test_the_longest_name_is_found():
    names = known("New York", "New York Times")
    assert names.find(words_of("the New York Times of New York")) == [1, 0]
    assert names.find(words_of("New York")) == [0]


def test_one_word_is_not_found_inside_a_longer_name():
    names = known("Washington", capital=True)
    assert names.find(words_of("He reads the Washington Post.")) == []
    assert names.find(words_of("He lives in Washington.")) == [0]
    assert names.find(words_of("The Washington of old.")) == [0]


def test_one_word_has_to_be_written_as_the_name_is_but_in_a_question():
    names = known("Heat", capital=True)
    assert names.find(words_of("the heat of summer")) == []
    assert names.find(words_of("who directed heat?"), careful=False) == [0]


def test_a_name_of_two_things_finds_neither():
    assert known("Mercury", "mercury").find(words_of("Mercury is hot.")) == []


def test_stop_words_and_single_letters_are_no_names():
    assert known("The Who", "It", "X").find(words_of("It is X, said The Who")) == []


def test_nearby_names_come_before_others_of_one_word_only():
    names = known("Lovelace", "Lovelace Medal", capital=True)
    assert names.find(words_of("Lovelace wrote"), {"lovelace": 7}) == [7]
    assert names.find(words_of("the Lovelace Medal"), {"lovelace": 7}) == [1]
    assert names.find(words_of("lovelace"), {"lovelace": 7}) == []
