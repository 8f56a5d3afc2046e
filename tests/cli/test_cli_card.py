"""`cornet card`: its file and format, and its mistakes."""

from tests.helpers.report.made_up_runs import make_run


def test_file_format_and_mistakes(tmp_path, cornet):
    run = make_run(tmp_path / "run", solution_times=None, step_matrix=None)
    code, out, err = cornet("card", str(run), "--out", str(tmp_path / "card.md"))
    assert (code, out, err) == (0, f"{tmp_path / 'card.md'}\n", "")
    assert (tmp_path / "card.md").read_text().startswith("# cornet_s on objects")
    assert cornet("card", str(run))[1] == f"{run / 'card.html'}\n"
    for words in (
        [str(run), "--format", "pdf"],
        [str(run), "--out", str(tmp_path)],
        [str(tmp_path / "nothing")],
    ):
        code, out, err = cornet("card", *words)
        assert (code, out, err.count("\n")) == (2, "", 1), err
