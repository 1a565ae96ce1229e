"""Comments that a proof passes over are sentences: none is a word to a tool."""

import pytest

from hardloom.verif.extract.comments import check_comments, one_line
from hardloom.verif.extract.errors import ExtractionError

OBEYED = [
    "// synthesis translate_off",
    "//synthesis translate_off",
    "//    synopsys translate_off",
    "// pragma translate_off",
    "// rtl_synthesis off",
    "// exemplar translate_off",
    "// synopsys full_case",
    "// synopsys parallel_case full_case",
    "// verilator translate_off",
    "// $s",
    "/* synthesis translate_off */",
    "/* verilator lint_off WIDTH */",
    "/* verilator inline_module */ // synthesis translate_off",
    "/*",
    "// Goes on \\",
]


@pytest.mark.parametrize("comment", OBEYED)
def test_what_a_tool_might_obey_is_refused(comment: str) -> None:
    with pytest.raises(ExtractionError, match="a tool might obey its comment"):
        check_comments(f"wire a; {comment}\nwire b;\n")


@pytest.mark.parametrize("character", ["\r", "\f", "\t", "\0", "\x0b", "\x1b", "é", "\u2028", "０"])
def test_a_character_that_only_some_tools_read_so_is_refused(character: str) -> None:
    with pytest.raises(ExtractionError, match="has the character"):
        check_comments(f"// A sentence.{character}wire a;\n")


@pytest.mark.parametrize(
    "comment",
    ["// A sentence, of synthesis.", "// unit_0: a ROM", "/* verilator inline_module */", "// synopsys parallel_case"],
)
def test_sentences_and_what_the_generator_writes_are_passed_over(comment: str) -> None:
    assert one_line(f"wire a; {comment}\n  wire b;\n") == "wire a; wire b;"
