"""Names that a server cannot hold. What the real servers do is in tests/contract/test_odd_names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from siteferry.tree.name_limits import IIS_WORDS, PUREFTPD_WORDS, NameLimits, limits_for
from siteferry.tree.preflight import check_names

PUREFTPD = limits_for(PUREFTPD_WORDS | {"SIZE", "UTF8"})
IIS = limits_for(IIS_WORDS | {"REST", "AUTH", "PBSZ", "PROT", "CCC"})
UNKNOWN = limits_for(frozenset({"SIZE", "MDTM", "CLNT"}))
MACOS = NameLimits(case_insensitive=True, normalizing=True)
NFC = "caf\xe9"
NFD = "cafe\u0301"


def check(
    server: NameLimits, *files: str, directories: tuple[str, ...] = ()
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The messages by path, and the warnings."""
    failures, warnings = check_names(directories, files, server)
    assert all(error.next_step for _, error in failures)
    return {path: error.message for path, error in failures}, warnings


def test_tidy_names_are_fine_everywhere() -> None:
    files = ("index.html", "a/b.css", "a/with space", ".htaccess", f"ü/{NFC}", "*", "x" * 255)
    for server in (NameLimits(), UNKNOWN, replace(PUREFTPD, encoding="latin-1")):
        assert check(server, *files, directories=("", "a", "ü")) == ({}, ())


def test_a_name_is_counted_in_bytes_of_the_encoding_it_is_sent_in() -> None:
    utf8 = NameLimits(name_bytes=4)
    (message,) = check(utf8, NFC, "1234")[0].values()
    assert message == f"{NFC!r} cannot be published: its name has 5 bytes, and the server holds 4"
    assert check(replace(utf8, encoding="latin-1"), NFC)[0] == {}
    assert check(replace(utf8, name_bytes=None), "x" * 300)[0] == {}


def test_a_path_is_counted_from_the_servers_root() -> None:
    server = NameLimits(path_bytes=20)
    assert server.below("/").path_bytes == 19
    assert server.below("/www/ž/").path_bytes == 12
    assert check(server.below("/www/site"), "a/23456789")[0] == {}
    (message,) = check(server.below("/www/site"), "a/234567890")[0].values()
    assert "its path has 11 bytes, and the server takes 10 below the remote directory" in message
    assert UNKNOWN.below("/www").path_bytes is None


def test_what_the_sessions_encoding_cannot_say_is_a_failure() -> None:
    failures, _ = check(NameLimits(encoding="latin-1"), "fine \xe9", "Ž.html", "日本語/x")
    assert failures.keys() == {"Ž.html", "日本語/x"}
    assert "'Ž' cannot be written in latin-1" in failures["Ž.html"]


def test_what_a_directory_cannot_be_called_is_told_once_for_all_that_is_in_it() -> None:
    failures, _ = check(
        PUREFTPD,
        "d\\d/one",
        "d\\d/e /two",
        "f ",
        "fine/g ",
        directories=("d\\d", "d\\d/e ", "fine"),
    )
    assert list(failures) == ["d\\d", "f ", "fine/g "]
    assert "Pure-FTPd holds no directory with '\\'" in failures["d\\d"]
    assert "Pure-FTPd holds no name that ends with a space" in failures["f "]


def test_messages_show_paths_and_characters_escaped() -> None:
    failures, _ = check(PUREFTPD, "a\tb")
    assert failures["a\tb"].startswith(r"'a\\tb' cannot be published")
    assert r"holds no name with '\t'" in failures["a\tb"]


def test_an_asterisk_is_refused_in_directories_of_proftpd_alone() -> None:
    proftpd = limits_for(frozenset({"CSID", "MFF", "RANG", "SIZE"}))
    assert list(check(proftpd, "a*", "d*/x", directories=("d*",))[0]) == ["d*"]


@pytest.mark.parametrize("name", ["CON", "aux.html", "Com1.tar.gz", "a.", "a ", "a:b", "?", "\x01"])
def test_iis_holds_none_of_windows_special_names(name: str) -> None:
    assert list(check(IIS, name)[0]) != []
    assert check(UNKNOWN, name) == ({}, ())


def test_iis_holds_what_only_looks_like_a_device() -> None:
    assert check(IIS, "console", "com10", "xCON", ".con") == ({}, ())


# -- names that fall together ------------------------------------------------------------------


def test_names_that_differ_in_case_are_a_failure_where_the_server_folds_it() -> None:
    failures, warnings = check(IIS, "a/README", "a/Readme", "README", directories=("a",))
    assert list(failures) == ["a/Readme"]
    assert (
        "on IIS it is one name with 'a/README', which differs only in upper and lower case"
        in (failures["a/Readme"])
    )
    assert warnings == ()


def test_names_that_differ_in_case_are_a_warning_where_it_is_not_known() -> None:
    failures, warnings = check(UNKNOWN, "README", "Readme", "readme")
    assert failures == {}
    assert [warning.split(" only in ")[0] for warning in warnings] == [
        "Readme differs from README",
        "readme differs from README",
    ]


def test_names_that_differ_in_case_are_fine_where_the_server_tells_them_apart() -> None:
    assert check(NameLimits(case_insensitive=False), "README", "Readme") == ({}, ())


def test_both_forms_of_a_letter_fall_together_only_where_the_server_normalizes() -> None:
    failures, _ = check(MACOS, NFC, NFD)
    (message,) = failures.values()
    assert "differs only in Unicode's form (NFC, NFD)" in message
    assert check(IIS, NFC, NFD) == ({}, ())
    assert len(check(UNKNOWN, NFC, NFD)[1]) == 1


def test_both_differences_at_once_need_a_server_that_does_both() -> None:
    assert list(check(MACOS, NFC, NFD.upper())[0]) == [NFC]
    assert check(IIS, NFC, NFD.upper()) == ({}, ())
    one = replace(MACOS, normalizing=None)
    failures, warnings = check(one, NFC, NFD.upper())
    assert (failures, len(warnings)) == ({}, 1)


def test_case_is_folded_letter_by_letter() -> None:
    """As NTFS does it, for which these are two names."""
    assert check(IIS, "straße", "STRASSE") == ({}, ())
    assert list(check(IIS, "žŽ", "ŽŽ")[0]) == ["žŽ"]


def test_directories_that_fall_together_are_told_once_and_fall_together_with_files_too() -> None:
    failures, _ = check(
        IIS, "Shop/a", "Shop/b", "shop/A", "shop/c", "news", directories=("Shop", "shop", "News")
    )
    assert list(failures) == ["news", "shop"]
