import pytest

from ctxeng.models.scrub import scrub, scrub_json


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abcdefghijkl0123456789",
        "sk-ant-api03-abcdefghijkl",
        "gsk_abcdefghijkl0123",
        "ghp_abcdefghijkl0123456789",
        "AIzaSyAbcdefghijkl0123456789",
        "AKIAIOSFODNN7EXAMPLE",
        "hf_abcdefghijklmnop",
    ],
)
def test_what_looks_like_a_key_goes(secret):
    assert secret not in scrub(f"use '{secret}', please")


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abc123def456ghi",
        "authorization: basic dXNlcjpwYXNzd29yZA==",
        '{"x-api-key": "0123456789abcdef"}',
        "api_key=0123456789abcdef",
        '{\\"api_key\\": \\"0123456789abcdef\\"}',
    ],
)
def test_headers_and_named_keys_lose_their_value(text):
    clean = scrub(text)
    assert "[secret]" in clean
    assert not any(part in clean for part in ("abc123def456", "dXNlcjpw", "0123456789abcdef"))


@pytest.mark.parametrize(
    "text",
    ["The bearer of news", "ask-me-anything-now", "A basic authorization scheme", "the API key is needed"],
)
def test_ordinary_words_stay(text):
    assert scrub(text) == text


def test_scrubbing_twice_changes_nothing_more():
    once = scrub("Authorization: Bearer abc123def456ghi, api_key: sk-abcdefghijk")
    assert scrub(once) == once


def test_json_keeps_its_shape():
    value = {"a": ["sk-abcdefghijkl", 1, None], "api_key": "short", "Authorization": "x", "n": {"b": "mine"}}
    assert scrub_json(value, ["mine"]) == {
        "a": ["[secret]", 1, None],
        "api_key": "[secret]",
        "Authorization": "[secret]",
        "n": {"b": "[secret]"},
    }
