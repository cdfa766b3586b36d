from ctxeng.chunks.rank.names import mentions, phrases, plain, title_key


def test_plain_keeps_words_in_lower_case_with_spaces_around():
    assert plain("Ada Lovelace's notes, 1843!") == " ada lovelace s notes 1843 "
    assert plain("") == "  "


def test_a_title_is_looked_for_without_its_parenthesis_and_heading_path():
    assert title_key("Big Stone Gap (film)") == " big stone gap "
    assert title_key("Manual > Refunds") == " refunds "


def test_a_title_that_is_a_common_or_tiny_word_is_not_looked_for():
    assert title_key("It") == ""
    assert title_key("The") == ""
    assert title_key("X") == ""
    assert title_key("The Who") != ""


def test_capitalised_phrases_lend_their_parts_and_numbers_count_from_three_digits():
    found = phrases("In 1843 Ada Lovelace wrote 12 notes.")
    assert {"ada lovelace", "lovelace", "1843"} <= found
    assert "12" not in found


def test_a_common_word_at_the_start_of_a_sentence_is_no_name():
    assert phrases("The of and") == frozenset()


def test_mentions_find_whole_words_only_and_never_an_empty_title():
    texts = [plain("He saw the Ada bridge"), plain("adamant")]
    assert mentions(texts, [title_key("Ada"), ""]) == [[0], []]
