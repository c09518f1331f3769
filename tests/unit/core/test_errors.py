from hvae_core.errors import LONGEST_TEXT, ConfigError


def test_what_a_message_quotes_is_one_line_and_steers_no_terminal():
    error = ConfigError("a:\r\n  b\u2028c \x1b[31m\x07\u202e\udcff d\u00e9", "\nx\ty")
    assert error.message == r"a: b c \x1b[31m\x07\u202e\udcff d\u00e9".replace(r"\u00e9", "\u00e9")
    assert error.hint == r"x\ty"
    assert error.to_dict()["message"] == error.message
    str(error).encode()


def test_a_message_has_a_bound():
    assert len(ConfigError("x" * 10**6).message) == LONGEST_TEXT + 3
