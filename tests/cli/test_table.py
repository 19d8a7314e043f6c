"""One static table of commands; each is one file, one function with the command line's parameters, one object."""

from __future__ import annotations

import ast
import inspect
from dataclasses import is_dataclass
from importlib import import_module
from pathlib import Path

import pytest

import dpkg
from dpkg.cli import commands
from dpkg.command import Arg, Command, Opt

HOME = Path(dpkg.__file__).parent  # in the checkout it holds links to the layers' folders, installed the folders
LAYERS = {commands.PORCELAIN: HOME / "porcelain", commands.PLUMBING: HOME / "plumbing"}
ALL = commands.names()


def module(name: str) -> object:
    return import_module(commands.module_of(name) or "")


def function(name: str) -> object:
    return getattr(module(name), name.replace("-", "_"))


@pytest.mark.parametrize("layer", LAYERS)
def test_every_command_file_is_in_the_table_and_the_other_way_round(layer: str) -> None:
    files = {p.stem[1:].replace("_", "-") for p in LAYERS[layer].glob("_[a-z]*.py")}
    assert files == set(commands.names(layer))


def test_the_table_has_each_command_once() -> None:
    assert len(ALL) == len(set(ALL))
    assert commands.module_of("nothing") is None


@pytest.mark.parametrize("name", ALL)
def test_a_file_says_what_it_is(name: str) -> None:
    loaded = module(name)
    assert isinstance(loaded.COMMAND, Command)
    assert loaded.COMMAND.name == name
    assert loaded.COMMAND.summary.endswith(".")
    assert callable(loaded.render)


@pytest.mark.parametrize("name", ALL)
def test_the_command_line_has_the_parameters_of_the_function(name: str) -> None:
    """Names, order, what may be left out; options are keyword-only; the rest is render's."""
    command = module(name).COMMAND
    parameters = inspect.signature(function(name)).parameters
    positional = {n: p for n, p in parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD}
    keyword = {n: p for n, p in parameters.items() if p.kind is p.KEYWORD_ONLY}
    assert [a.name for a in command.args] == list(positional)
    assert {a.name for a in command.args if a.optional} == {
        n for n, p in positional.items() if p.default is not p.empty
    }
    assert {o.dest for o in command.opts if not o.view} == set(keyword)
    assert all(p.default is not p.empty for p in keyword.values())
    viewed = list(inspect.signature(module(name).render).parameters.values())[1:]
    assert {o.dest for o in command.opts if o.view} == {p.name for p in viewed}


@pytest.mark.parametrize("name", ALL)
def test_what_an_option_gives_is_what_the_parameter_takes(name: str) -> None:
    parameters = inspect.signature(function(name), eval_str=False).parameters
    for p in module(name).COMMAND.params:
        known = parameters[p.name if isinstance(p, Arg) else p.dest] if not getattr(p, "view", False) else None
        if known is None:
            continue
        if isinstance(p, Opt) and p.type is None:
            assert known.annotation == "bool"
            assert known.default is False
        elif p.many:
            assert known.annotation == "Sequence[str]"
            assert known.default in ((), known.empty)
        else:
            kind = "int" if isinstance(p, Opt) and p.type is int else "str"
            assert known.annotation in (kind, f"{kind} | None")


@pytest.mark.parametrize("name", ALL)
def test_every_command_takes_a_store(name: str) -> None:
    if name not in ("completion", "generate"):  # which use none
        assert "store" in inspect.signature(function(name)).parameters


@pytest.mark.parametrize("name", ALL)
def test_a_command_is_one_object_by_every_name(name: str) -> None:
    plain = name.replace("-", "_")
    if name in commands.names(commands.PORCELAIN):
        assert getattr(dpkg, plain) is getattr(dpkg.porcelain, plain) is function(name)
    else:
        assert getattr(dpkg.plumbing, plain) is function(name)
        assert not hasattr(dpkg, plain)


def test_no_module_has_the_name_of_a_command() -> None:
    """Once imported, `dpkg.build` would be the module, and no longer the command."""
    for folder, names in (
        (HOME, dpkg.porcelain.__all__),
        (LAYERS["porcelain"], dpkg.porcelain.__all__),
        (LAYERS["plumbing"], dpkg.plumbing.__all__),
    ):
        modules = {p.stem for p in folder.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
        assert not modules & {*names, "load"}


def test_the_facades_name_all_of_their_commands() -> None:
    assert set(dpkg.porcelain.__all__) == {n.replace("-", "_") for n in commands.names(commands.PORCELAIN)}
    assert set(dpkg.plumbing.__all__) == {n.replace("-", "_") for n in commands.names(commands.PLUMBING)}
    assert set(dpkg.__all__) == {
        *dpkg.porcelain.__all__,
        "DpkgError",
        "data",
        "errors",
        "load",
        "plumbing",
        "porcelain",
    }
    for facade in (dpkg, dpkg.porcelain, dpkg.plumbing):
        assert set(facade.__all__) <= set(dir(facade))
        assert all(getattr(facade, n) is not None for n in facade.__all__)
        with pytest.raises(AttributeError, match="nothing"):
            facade.nothing  # noqa: B018


@pytest.mark.parametrize("facade", ["dpkg", "dpkg.porcelain", "dpkg.plumbing"])
def test_type_checkers_see_what_the_facade_gives(facade: str) -> None:
    """A lazy `__getattr__` tells them nothing: the imports under TYPE_CHECKING do."""
    made = import_module(facade)
    assert made.__file__
    tree = ast.parse(Path(made.__file__).read_text())
    (block,) = [n for n in tree.body if isinstance(n, ast.If)]
    seen = {a.asname for n in block.body if isinstance(n, ast.ImportFrom) for a in n.names}
    assert seen == set(made.__all__)


@pytest.mark.parametrize("name", ALL)
def test_results_are_frozen(name: str) -> None:
    loaded = module(name)
    own = [
        c for _, c in inspect.getmembers(loaded, inspect.isclass) if c.__module__ == loaded.__name__ and is_dataclass(c)
    ]
    assert own
    assert all(c.__dataclass_params__.frozen and c.__doc__ for c in own)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ALL)
def test_a_command_never_prints(name: str) -> None:
    tree = ast.parse(Path(module(name).__file__).read_text())
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    attributes = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    assert not names & {"print", "input"}
    assert not attributes & {"stdout", "stderr", "environ", "getenv"}
