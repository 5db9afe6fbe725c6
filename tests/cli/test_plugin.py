"""``umzoo plugin`` as an author meets it."""

from umzoo.cli import plugin


def test_new_says_what_to_do_next(tmp_path, capsys):
    plugin.new("my_thing", "head", tmp_path)
    made = tmp_path / "umzoo-my-thing"
    assert capsys.readouterr().out == f"wrote {made}; next: pip install -e '{made}[dev]', then pytest {made}\n"
