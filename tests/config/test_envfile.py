"""The file of --env-file: what it may hold, and that nothing else is guessed at."""

import pytest

from portway.config.envfile import parse_env
from portway.errors import SettingsError


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=1", "1"),
        ("export A = 1 ", "1"),
        ("A=", ""),
        ("A= # nothing", ""),
        ("A=two words # and a comment", "two words"),
        ("A=a#b", "a#b"),
        ("A=a=b", "a=b"),
        ("A=it's", "it's"),
        ("A=$HOME", "$HOME"),
        (r'A="a\nb\t\"\\\$" # c', 'a\nb\t"\\$'),
        (r'A="C:\users"', r"C:\users"),
        (r"A='${B} \n # $'", r"${B} \n # $"),
        ('A=" padded "', " padded "),
    ],
)
def test_a_line_sets_a_variable(line: str, value: str) -> None:
    assert parse_env(line, ".env") == {"A": value}


def test_comments_blank_lines_and_a_byte_order_mark_set_nothing() -> None:
    assert parse_env("\ufeff# comment\n\n   \n  # another\r\nA=1\r\n", ".env") == {"A": "1"}


def test_the_last_of_two_lines_wins() -> None:
    assert parse_env("A=1\nA=2", ".env") == {"A": "2"}


@pytest.mark.parametrize("line", ["A", "1A=3", "A='open", 'A="open', "A='a'b", "A=#x", "A-B=1", "=1"])
def test_a_line_outside_the_subset_is_refused_by_number_without_its_value(line: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_env(f"X=1\n{line}\n", "deploy.env")
    assert str(caught.value) == 'deploy.env, line 2: not a variable; write NAME=value or NAME="a value"'


@pytest.mark.parametrize("line", ["A=${B}", 'A="x${B}"'])
def test_a_substitution_is_refused_rather_than_left_unreplaced(line: str) -> None:
    with pytest.raises(SettingsError, match=r"line 1: \$\{…\} is not replaced here"):
        parse_env(line, ".env")


def test_an_escaped_dollar_before_a_brace_is_a_dollar() -> None:
    assert parse_env(r'A="\${B}"', ".env") == {"A": "${B}"}
