from vidgen_lab.core import ArgumentError, CheckpointError, DataError, NonFiniteError, VidgenError, unknown


def test_an_unknown_name_reads_as_the_design_says():
    error = unknown("model", "videogtp", ["gan", "videogpt", "vqvae"], "vidgen list shows all")
    assert str(error) == 'no model "videogtp"; did you mean "videogpt"? vidgen list shows all'


def test_without_a_near_name_all_are_listed():
    assert str(unknown("preset", "zzz", ["ci", "gpu"])) == 'no preset "zzz"; there are: ci, gpu.'
    assert str(unknown("option", "zzz", [])) == 'no option "zzz"; there are: none.'


def test_the_terminal_can_catch_every_error_of_the_package_at_once():
    assert all(issubclass(e, VidgenError) for e in (ArgumentError, CheckpointError, DataError, NonFiniteError))
    assert issubclass(ArgumentError, ValueError)
