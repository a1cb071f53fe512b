"""A setting of any text has the value that it says, or is refused by its name."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from tests.hostile.harness import examples
from tests.hostile.settings_input import (
    TOML_FILES,
    VARIABLES_GIVEN,
    TomlFile,
    try_file,
    try_variables,
)


@given(given_variables=VARIABLES_GIVEN)
@examples(500)
def test_a_variable_says_its_value_or_is_refused(given_variables: dict[str, str]):
    try_variables(given_variables)


@given(file=TOML_FILES)
@examples(400)
def test_a_profiles_file_says_its_values_or_is_refused(tmp_path_factory, file: TomlFile):
    try_file(Path(tmp_path_factory.getbasetemp()), file)
