from ctxeng.retrieval.words import terms


def test_names_are_split_at_their_seams():
    assert terms("getHTTPCode user_id page2") == ["get", "http", "code", "user", "id", "page", "2"]


def test_stop_words_go_and_the_rest_is_stemmed():
    assert terms("The cats were running to the houses") == ["cat", "run", "hous"]


def test_contractions_leave_nothing_behind():
    assert terms("I don't know, it's theirs") == ["know"]


def test_a_text_of_stop_words_alone_keeps_them():
    assert terms("to be or not to be") == ["to", "be", "or", "not", "to", "be"]


def test_scripts_without_spaces_are_read_by_character():
    assert terms("\u6771\u4eac station") == ["\u6771", "\u4eac", "station"]


def test_an_empty_text_has_no_terms():
    assert terms(" .,!\n") == []
