"""Strings, formats and regular expressions."""

from __future__ import annotations

import pytest

from tests.powershell import Shell, Unsupported

STRINGS = {
    "'it''s $x'": ["it's $x"],
    '$x = 5; "a $x b"': ["a 5 b"],
    '$x = @{ k = @{ n = 1 } }; "$($x.k.n) $x.k"': ["1 System.Collections.Hashtable.k"],
    '$x = 1, 2; "$x[0] $($x[0]) ${x}s"': ["1 2[0] 1 1 2s"],
    '"say ""hi"" `"there`" `$x `` "': ['say "hi" "there" $x ` '],
    '"a`tb`r`nc`0d"': ["a\tb\r\nc\0d"],
    '"$(if ($true) { 1; 2 })|$(1; $null; 2)|$null|$true|$(@())"': ["1 2|1  2||True|"],
    '"$(Write-Output "in ""ner""") $(1.5) $(1.0)"': ['in "ner" 1.5 1'],
    '$env:Path = "x"; "$env:PATH ${env:path}"; $env:none': ["x x", None],
    '$script:x = 1; "$script:x"': ["1"],
    "@'\nit's \"raw\" $x\nsecond\n'@": ["it's \"raw\" $x\nsecond"],
    '$x = 5; @"\n"$x" `$x\n  $($x + 1)\n"@': ['"5" $x\n  6'],
    '"caf\u00e9 $(1)"': ["caf\u00e9 1"],
    '$a = "b"; $h = @{ b = 1 }; $h.$a; $h."$a"': [1, 1],
}  # fmt: skip

METHODS = {
    "' a '.Trim() + '|'; 'xxaxx'.Trim('x'); 'abab'.TrimEnd('b', 'a').Length; '\\a\\'.TrimEnd('\\')": [
        "a|", "a", 0, "\\a",
    ],
    "'aXa'.Replace('x', 'y'); 'aXa'.Replace('X', ''); 'a,b,,c'.Split(',').Count; 'a,b,c'.Split(',', 2)": [
        "aXa", "aa", 4, "a", "b,c",
    ],
    "'Ab'.ToUpper(); 'Ab'.ToLower(); 'abc'.Substring(1); 'abc'.Substring(1, 1)": ["AB", "ab", "bc", "b"],
    "'Abc'.StartsWith('ab'); 'Abc'.StartsWith('ab', [StringComparison]::OrdinalIgnoreCase)": [False, True],
    "'abc'.Contains('B'); 'abc'.EndsWith('bc'); 'abc'.IndexOf('c'); 'abc'.IndexOf('z')": [False, True, 2, -1],
    "'a'.PadRight(3) + '|'; 'a'.PadLeft(3, '.'); 'abc'[0]; 'abc'[-1]; "
    "'abc'[7]": ["a  |", "..a", "a", "c", None],
    "'a'.Length; ''.Length; (12).ToString(); (1.5).ToString('N2'); 'a'.GetType().FullName": [
        1, 0, "12", "1.50", "System.String",
    ],
}  # fmt: skip

FORMATS = {
    "'{0} of {1}' -f 1, 'x'; '{0}' -f $null; '{{{0}}}' -f 1": ["1 of x", "", "{1}"],
    "'{0:N1} {0:F2} {0:N0}' -f 1234.567": ["1,234.6 1234.57 1,235"],
    "'{0:D3}|{0,5}|{0,-5}|{1:X4}' -f 7, 255": ["007|    7|7    |00FF"],
    "'{0:N1}' -f 0.25; '{0:N0}' -f 2.5; '{0:N1}' -f 2GB": ["0.3", "3", "2,147,483,648.0"],
    "'{0:0.0}' -f 1.25; '{0:00}' -f 7; '{0:0.##}' -f 1.5": ["1.3", "07", "1.5"],
    "'{0:N2}' -f 'text'": ["text"],
}

REGEXES = {
    "'build 19045' -match '(\\d+)'; $Matches[1]; $Matches[0]": [True, "19045", "19045"],
    "'ab' -match '(?<first>A)'; $Matches.first; $Matches['first']; $Matches.Keys.Count": [True, "a", "a", 2],
    "$null = 'a' -match '(a)'; 'b' -match '(c)'; $Matches[1]": [False, "a"],
    "$null = 'a' -match '(a)(b)?'; $Matches.ContainsKey(2)": [False],
    "$null = 'a' -match '(a)'; $null = @('b') -match '(b)'; $Matches[1]": ["a"],
    "'a' -cmatch 'A'; 'a' -notmatch 'A'; $null -match '^$'": [False, False, True],
    "'a.b.c' -replace '\\.', '-'; 'aXa' -replace 'x'; 'John Doe' -replace '(\\w+) (\\w+)', '$2, $1'": [
        "a-b-c", "aa", "Doe, John",
    ],
    "'ab' -replace '(?<x>a)', '[${x}]$$ $&'; 'a' -creplace 'A', 'b'; @('a1', 'b2') -replace '\\d'": [
        "[a]$ ab", "a", "a", "b",
    ],
    "'a, b,c' -split ',\\s*'; 'aXbxc' -split 'x', 2; "
    "'a|b' -split '\\|'": ["a", "b", "c", "a", "bxc", "a", "b"],
    "-split ' a  b '; 'a', 'b' -join '+'; -join ('a', 'b'); $null -join ','": ["a", "b", "a+b", "ab", ""],
    "'a1b2' -split '(\\d)'": ["a", "1", "b", "2", ""],
    "[regex]::Replace('a1b2', '\\d', { param($m) [string]([int]$m.Value * 2) })": ["a2b4"],
    "[regex]::Replace('aA', 'a', 'x'); [regex]::IsMatch('A', 'a'); [regex]::IsMatch('A', '(?i)a')": [
        "xA", False, True,
    ],
    "$m = [regex]::Match('k=v', '(?<key>\\w)=(?<value>\\w)'); $m.Success; "
    "$m.Groups['value'].Value; $m.Groups[1].Value": [
        True, "v", "k",
    ],
    "$m = [regex]::Match('x', 'y'); $m.Success; $m.Value; $m.Groups[1].Success; "
    "$m.Groups.Count": [False, "", False, 1],
    "([regex]'a+').Matches('aa b a').Value; [regex]::Escape('a.b*c d')": ["aa", "a", "a\\.b\\*c\\ d"],
    "'a`nb' -match 'a.b'; [regex]::IsMatch(\"a`nb\", '^b', 'Multiline'); "
    "\"a`n\" -match 'a\\z'": [False, True, False],
    "[regex]::Match('abc', 'b').Index; \"$([regex]::Match('abc', 'b.'))\"": [1, "bc"],
    "'[a]' -match '^\\[([^\\]]+)\\]$'; $Matches[1]": [True, "a"],
}  # fmt: skip

CASES = STRINGS | METHODS | FORMATS | REGEXES


@pytest.mark.parametrize("snippet", CASES)
def test_string(snippet: str) -> None:
    assert Shell().evaluate(snippet) == CASES[snippet]


@pytest.mark.parametrize(("edition", "shown"), [("5.1", "2.68"), ("7", "2.67")])
def test_rounding_for_display_is_the_edition_s(edition: str, shown: str) -> None:
    assert Shell(edition=edition).evaluate("'{0:N2}' -f 2.675") == [shown]


REFUSALS = {
    '$x = 1; "$x: y"': "a variable before a colon",
    '"`u{41}"': "the escape '`u'",
    "'a' -match '\\p{Lu}'": "an escape in the regular expression",
    "'a' -match 'a++'": "a possessive count",
    "'a' -match '(a)(?<b>b)'": "groups with names and without",
    "'a' -match 'a{,2}'": "a count without its lower end",
    "'a' -match '[a-z-[b]]'": "a class less another",
    "'ab' -split ''": "-split by a pattern that matches nothing",
    "'a' -replace 'a', { 'b' }": "-replace with a script block",
    "'a--b'.Split('--')": "Split\\(\\) by more than one character",
    "'a'.Contains('A', 'OrdinalIgnoreCase')": "the method contains of a string with 'OrdinalIgnoreCase'",
    "'a' -replace '(a)', '$2'": "a group that the pattern lacks",
    "'a'.Normalize()": "the method normalize of a string with 0 arguments",
    "[IO.File]::ReadAllText('x')": "the static method \\[IO.File\\]::ReadAllText, which no test registered",
    "'\u2019'": "a typographic quote",
}


@pytest.mark.parametrize("snippet", REFUSALS)
def test_refusal(snippet: str) -> None:
    with pytest.raises(Unsupported, match=REFUSALS[snippet]):
        Shell().evaluate(snippet)


def test_static_members_of_a_test() -> None:
    files = {"a.txt": "text"}
    shell = Shell(statics={
        "IO.File::ReadAllText": files.__getitem__,
        "IO.File::WriteAllText": files.__setitem__,
        "Text.Encoding::UTF8": "utf-8",
        "Console::OutputEncoding": "oem",
    })  # fmt: skip
    shell.evaluate("[System.IO.File]::WriteAllText('b.txt', [io.file]::readalltext('a.txt') + '!')")
    assert files == {"a.txt": "text", "b.txt": "text!"}
    assert shell.evaluate("[Console]::OutputEncoding = [Text.Encoding]::UTF8; [Console]::OutputEncoding") == [
        "utf-8"
    ]
