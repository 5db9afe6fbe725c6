"""Spaces: what is written, what a push leaves on a Hub, and what of people stays."""

import ast

import pytest
import yaml
from packaging.requirements import Requirement

import umzoo
from umzoo.cli import hub as cli
from umzoo.errors import ConfigError, WeightsError
from umzoo.hub.pushing.space import push_space
from umzoo.hub.pushing.space_files import GRADIO, OURS, SPACE_FILES
from umzoo.weights.folder.reader import read_info

from ..repositories import File, git_oid
from ..routes import STRANGER

SPACE = "spaces/org/name"


def text(hub, name):
    return hub.files(SPACE)[name].content.decode()


def front(card):
    return yaml.safe_load(card.split("---\n")[1])


def put(hub, name, content):
    hub.files(SPACE)[name] = File(content.encode(), git_oid(content.encode()))


def test_a_push_makes_a_private_space_beside_the_weights(folder, hub, capsys):
    cli.push(folder, "org/name", space=True, tag="v1")
    assert capsys.readouterr().out.splitlines()[-1] == f"{hub.url}/spaces/org/name"
    assert hub.repositories[SPACE].private and hub.repositories["org/name"].private
    assert hub.files(SPACE).keys() == {".gitattributes", *SPACE_FILES}
    fields = front(text(hub, "README.md"))
    assert fields["sdk"] == "gradio" and fields["sdk_version"] == GRADIO and fields["app_file"] == "app.py"
    assert fields["models"] == ["org/name"] and fields["license"] == "mit" and fields["title"] == "Name"
    assert "Not for clinical use." in text(hub, "README.md") and "Check out the reference." in text(hub, "README.md")
    assert 'make_app("org/name@v1", limits)' in text(hub, "app.py") and ast.parse(text(hub, "app.py"))
    lines = [line for line in text(hub, "requirements.txt").splitlines() if line[0] not in "#-"]
    assert [Requirement(line).name for line in lines] == ["umzoo"] and f"=={umzoo.__version__}" in lines[0]


def test_the_same_again_is_no_commit_and_what_people_changed_stays(folder, hub):
    info = read_info(folder)
    page = push_space(info, "org/name")
    push_space(info, "org/name")
    assert hub.repositories[SPACE].messages == ["initial commit", "Try genesis_unet.custom"]
    put(hub, "app.py", "import mine\n")
    put(hub, "README.md", text(hub, "README.md").replace("title: Name", "title: Ours") + "\nThanks to all.\n")
    put(hub, "extra.py", "")
    assert page == push_space(info, "org/name", license="cc-by-4.0", requirement="umzoo @ https://x.org/umzoo.zip")
    card = text(hub, "README.md")
    assert text(hub, "app.py") == "import mine\n" and "extra.py" in hub.files(SPACE)
    assert "Thanks to all." in card and front(card)["title"] == "Ours" and front(card)["license"] == "cc-by-4.0"
    assert text(hub, "requirements.txt").startswith(OURS) and "https://x.org/umzoo.zip" in text(hub, "requirements.txt")


def test_a_public_space_has_to_be_asked_for(folder, hub):
    push_space(read_info(folder), "org/name", private=False)
    assert not hub.repositories[SPACE].private
    with pytest.raises(WeightsError, match="exists and is public, and private was requested"):
        push_space(read_info(folder), "org/name", private=True)


def test_what_the_hub_or_the_checks_refuse_is_one_line(folder, hub):
    push_space(read_info(folder), "org/name", private=False)
    with pytest.raises(WeightsError, match="cannot push the Space org/name: .*(403|permissions)"):
        push_space(read_info(folder), "org/name", license="cc-by-4.0", token=STRANGER)
    hub.requests.clear()
    with pytest.raises(WeightsError, match="could identify a patient.*local path"):
        cli.push(folder, "org/name", space=True, requirement="umzoo @ file:///home/doe/umzoo.whl")
    for options in ({"requirement": "umzoo"}, {"space": True, "create_pr": True}):
        with pytest.raises(ConfigError):
            cli.push(folder, "org/name", **options)
    assert hub.requests == []


def test_a_dry_run_names_the_files_and_asks_nothing(folder, hub, capsys):
    cli.push(folder, "org/name", space=True, dry_run=True)
    assert "to the Space: app.py, requirements.txt, README.md" in capsys.readouterr().out
    assert hub.requests == []


def test_searches_find_weights_and_no_spaces(folder, hub, capsys):
    cli.push(folder, "org/name", space=True)
    capsys.readouterr()
    cli.search("name")
    assert capsys.readouterr().out.count("org/name") == 1


def test_a_folder_to_try_loads_the_weights_from_where_they_are(folder, tmp_path, run):
    assert "wrote" in run("space", folder, tmp_path / "space")
    app, card = ((tmp_path / "space" / name).read_text(encoding="utf-8") for name in ("app.py", "README.md"))
    assert f'make_app("{folder}", limits)' in app and "models" not in front(card)
    with pytest.raises(WeightsError, match="is there already"):
        run("space", folder, tmp_path / "space")
