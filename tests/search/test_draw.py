"""The drawing of a search tree shows the way to the result, and stays well-formed and small."""

from xml.etree import ElementTree as ET

import numpy as np

from ctxeng.search.draw import drawing
from ctxeng.search.space import Extension
from ctxeng.search.tree import TreeSearch

SVG = "{http://www.w3.org/2000/svg}"


class Digits:
    """Up to four different digits, worth their sum; ten to choose from."""

    def extend(self, state):
        moves = [move for move in range(10) if move not in state] if len(state) < 4 else []
        rewards = np.array([float(sum(state) + move) for move in moves])
        return Extension(moves, rewards, np.full(len(moves), (len(state) + 1) / 4))


def parts(svg):
    root = ET.fromstring(svg)
    groups = root.findall(f"{SVG}g")
    return [(group.get("class"), [text.text for text in group.findall(f"{SVG}text")]) for group in groups]


def test_the_way_to_the_result_is_marked_to_its_end():
    found = TreeSearch(iterations=60).run(Digits(), [(6, 7, 8, 9)])
    marked = [texts[-1] for kind, texts in parts(drawing(found, depth=1)) if kind == "found"]
    assert marked == ["start", *map(str, found.state)]


def test_a_box_says_visits_mean_reward_and_cost():
    found = TreeSearch(iterations=0).run(Digits())
    first = next(texts for kind, texts in parts(drawing(found)) if kind == "found" and texts[-1] == "9")
    assert first[0] == "n 1 · mean 9 · reward 9 · 25%"


def test_what_is_left_out_is_counted():
    found = TreeSearch(iterations=0).run(Digits())
    shown = [texts[-1] for _, texts in parts(drawing(found, width=3))]
    assert shown == ["start", "9", "8", "7", "+7 more"]


def test_a_big_tree_gives_a_small_drawing():
    found = TreeSearch(iterations=2000).run(Digits())
    assert len(parts(drawing(found, width=3, depth=2))) < 30


def test_labels_are_escaped_cut_and_told_in_full():
    found = TreeSearch(iterations=0).run(Digits())
    long = '<script>alert("&")</script> \x00 and a great deal more than fits'
    svg = drawing(found, name=lambda move: long, text=lambda move: long + " in full")
    root = ET.fromstring(svg)
    assert "<script>" not in svg
    labels = [text.text for text in root.iter(f"{SVG}text") if text.get("class") == "label"]
    assert labels[1].startswith("<script>alert")
    assert labels[1].endswith("…")
    assert any("than fits in full" in title.text for title in root.iter(f"{SVG}title"))


def test_the_empty_result_is_drawn_too():
    class Nothing:
        def extend(self, state):
            return Extension([], np.empty(0), np.empty(0))

    assert parts(drawing(TreeSearch().run(Nothing()))) == [("found", ["0 iterations", "start"])]


def test_nothing_lies_outside_the_picture():
    root = ET.fromstring(drawing(TreeSearch(iterations=100).run(Digits())))
    width, height = float(root.get("width")), float(root.get("height"))
    for box in root.iter(f"{SVG}rect"):
        assert 0 <= float(box.get("x")) <= width - float(box.get("width"))
        assert 0 <= float(box.get("y")) <= height - float(box.get("height"))
