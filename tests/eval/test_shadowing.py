import pytest

from eval.shadowing import PACKAGES, PROJECT_ROOT, check_packages


def test_our_own_packages_are_in_order():
    check_packages()
    assert (PROJECT_ROOT / "eval" / "shadowing.py").exists()


def test_another_projects_package_is_named_with_both_paths(tmp_path, monkeypatch):
    other = tmp_path / "shadowing_other"
    other.mkdir()
    (other / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    expected = (
        f"The package `shadowing_other` must come from {PROJECT_ROOT}/shadowing_other, "
        f"got {other}: run from another directory"
    )
    with pytest.raises(ImportError) as caught:
        check_packages([*PACKAGES, "shadowing_other"])
    assert str(caught.value).startswith(expected)


def test_a_module_or_nothing_in_the_packages_place_is_named(tmp_path, monkeypatch):
    (tmp_path / "shadowing_file.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match=r"got .*shadowing_file\.py: run"):
        check_packages(["shadowing_file"])
    with pytest.raises(ImportError, match="got None: run"):
        check_packages(["shadowing_nowhere"])
