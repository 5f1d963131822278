import tomllib

import pytest

from eval.check import check
from eval.new import KINDS, main, new

SITE = "{}-0.1.0.dist-info"


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def package(kind, tmp_path, monkeypatch):
    """A generated package, importable and with its entry point."""
    name = f"brand_new_{kind}"
    folder = new(kind, name, tmp_path)
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    (info := tmp_path / "site" / SITE.format(name)).mkdir(parents=True)
    (info / "METADATA").write_text(f"Name: {project['name']}\nVersion: 0.1.0\n")
    lines = []
    for group, entries in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{k} = {v}" for k, v in entries.items())]
    (info / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.syspath_prepend(folder / "src")
    return folder


def test_what_is_generated_keeps_the_laws_as_it_stands(kind, package):
    verdicts = check(kind, package.name)
    assert len(verdicts) >= 5
    assert [verdict for verdict in verdicts if verdict.problem] == []


def test_a_package_holds_class_yaml_entry_point_tests_and_readme(kind, tmp_path):
    folder = new(kind, "my_thing", tmp_path)
    files = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert files == {
        "README.md",
        "pyproject.toml",
        "src/my_thing/__init__.py",
        f"src/my_thing/{kind}.py",
        f"src/my_thing/configs/{kind}/my_thing.yaml",
        "tests/test_my_thing.py",
    }
    # Its tests begin here, even inside another project's folder.
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    assert project["tool"]["pytest"] == {"ini_options": {}}
    assert "class MyThing(" in (folder / f"src/my_thing/{kind}.py").read_text()
    assert list(tmp_path.iterdir()) == [folder]


def test_the_command_says_what_comes_next(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["planner", "my_thing"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:] == [
        "  pip install -e ./my_thing",
        "  python -m eval.check planner my_thing",
        "  python -m eval.run planner=my_thing",
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("My-Planner", "The name of a package must be lower-case letters, digits and"),
        ("on", "The name of a package must be text in YAML files and on the command "),
        ("null", "The name of a package must be text in YAML files and on the comman"),
        ("class", "The name of a package must be lower-case letters, digits and _, "),
        ("../x", "The name of a package must be lower-case letters, digits and _, st"),
        ("mpc", "The name of a planner must be new, got 'mpc', which exists: take "),
        ("torch", "The name of a package must be free, got 'torch', which Python can"),
        ("taken", "`python -m eval.new` must write a new folder, got taken, which is"),
    ],
)
def test_what_cannot_be_made_is_one_line(tmp_path, monkeypatch, capsys, name, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    assert main(["planner", name]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {message}")
    assert len(error.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
