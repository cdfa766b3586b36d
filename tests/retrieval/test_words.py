from ctxeng.retrieval.words import VERSION, terms


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


def test_another_reading_of_texts_has_another_version():
    """Where this fails, raise VERSION in words.py, or stored postings no longer fit what is asked."""
    sample = "The getHTTPCode of 42 Über-sized orders: refunds, 中文 and snake_case; don't (re)start. -- now"
    assert VERSION == 1
    assert " ".join(terms(sample)) == "get http code 42 über size order refund 中 文 snake case start"
