"""The documents say nothing that is not so: commands, options, settings and files exist."""

from __future__ import annotations

import importlib.util
import inspect
import re
import signal
import typing
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from pydantic import BaseModel

from siteferry import errors
from siteferry.cli import COMMANDS, cli
from siteferry.credentials.environment import FILE_SUFFIX, PREFIX, entry_of
from siteferry.embedded.paths import ServerPaths
from siteferry.errors import SiteferryError
from siteferry.health.probe import USAGE
from siteferry.run import RunState
from siteferry.settings import Settings
from siteferry.settings.document import parse_document
from siteferry.settings.loading import settings_of
from siteferry.websites import Website, website_from_mapping
from worker.stopping import CUT_SHORT

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    [
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        ROOT / "benchmarks/README.md",
        *(ROOT / "docs").rglob("*.md"),
    ]
)
EVERY = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=[str(document.relative_to(ROOT)) for document in DOCUMENTS]
)
# Folders whose files are all in the repository; what is elsewhere is made by a command.
FOLDERS = ("siteferry", "scheduler", "worker", "tests", "docs", "benchmarks", "config", "k8s")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
FILE_NAME = re.compile(r"\.(?:py|log|md|yaml|lua)$")
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]+))?\)")


def prose(document: Path) -> str:
    return BLOCK.sub("", document.read_text())


def blocks(document: Path, *languages: str) -> Iterator[str]:
    for language, text in BLOCK.findall(document.read_text()):
        if language in languages:
            yield text.replace("\\\n", " ")


def pieces_of_code(document: Path) -> list[str]:
    """Every piece in backticks, and every line of a shell block."""
    lines = [line for block in blocks(document, "sh", "text") for line in block.splitlines()]
    return [*CODE.findall(prose(document)), *lines]


def commands(document: Path) -> Iterator[list[str]]:
    """The words behind each `siteferry` that stands where a command does."""
    for piece in pieces_of_code(document):
        for found in re.finditer(r"(?:^|&& |[$;] |=\S* )siteferry((?: +[^\s|&;>)]+)+)", piece):
            words = found[1].split()
            # Redirections (2> FILE) and what is behind them are the shell's.
            yield words[: words.index("2")] if "2" in words else words


def options_of(command: click.Command) -> set[str]:
    own = {name for parameter in command.params for name in parameter.opts}
    return own | {"--help", "-h"}


def check_command(words: list[str]) -> None:
    """Follow the words through the groups; every option must be one of the command before it."""
    command: click.Command = cli
    with click.Context(cli) as context:
        for word in words:
            if word.startswith("-"):
                assert word.partition("=")[0] in options_of(command), f"{word} of {words}"
            elif isinstance(command, click.Group):
                following = command.get_command(context, word)
                if following is None:
                    assert any(w.startswith("-") for w in words), f"no command {word}: {words}"
                    continue  # the value of a global option
                command = following


@EVERY
def test_every_command_and_option_exists(document: Path) -> None:
    for words in commands(document):
        check_command(words)


def test_the_check_of_commands_finds_what_does_not_exist() -> None:
    for wrong in ("imprt example", "import example --josn", "config chek", "worker --detach"):
        with pytest.raises(AssertionError):
            check_command(wrong.split())
    assert any(words == ["config", "schema", "settings"] for words in commands(ROOT / "README.md"))
    assert any(words == ["worker"] for words in commands(ROOT / "README.md"))


@EVERY
def test_every_option_in_backticks_belongs_to_some_command(document: Path) -> None:
    known = {"--rounds", "--server"}  # of the benchmarks
    known |= set(re.findall(r"--\w+", USAGE))  # of siteferry-probe
    with click.Context(cli) as context:
        known |= options_of(cli)
        for name in COMMANDS:
            command = cli.get_command(context, name)
            assert command is not None
            known |= options_of(command)
            if isinstance(command, click.Group):
                known |= {o for sub in command.commands.values() for o in options_of(sub)}
    for piece in CODE.findall(prose(document)):
        if re.match(r"--?[a-z]", piece):
            if document.name == "0003-embedded-server.md":
                continue  # these are the Redis server's
            assert piece.split()[0].partition("=")[0] in known, f"{piece} in {document.name}"


def test_every_command_is_told_in_the_documents() -> None:
    told = {words[0] for document in DOCUMENTS for words in commands(document)}
    assert set(COMMANDS) - told == set()


@EVERY
def test_every_make_target_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for piece in pieces_of_code(document):
        for target in re.findall(r"^make ([a-z]+)", piece):
            assert target in targets, f"make {target} in {document.name}"


def test_the_quick_start_is_two_commands() -> None:
    start = (ROOT / "README.md").read_text().partition("## Quick start")[2]
    first = BLOCK.search(start)
    assert first is not None
    assert first[2].splitlines() == ["make demo", "make test"]


@EVERY
def test_every_link_leads_somewhere(document: Path) -> None:
    for path, anchor in LINK.findall(document.read_text()):
        if "://" in path:
            continue
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), f"{path} in {document.name}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}


@EVERY
def test_every_file_of_the_repository_that_is_named_exists(document: Path) -> None:
    for piece in CODE.findall(prose(document)):
        if re.fullmatch(rf"(?:{'|'.join(FOLDERS)})/[\w./-]*", piece):
            assert (ROOT / piece).exists(), f"{piece} in {document.name}"


@EVERY
def test_every_module_attribute_that_is_named_exists(document: Path) -> None:
    for piece in CODE.findall(prose(document)):
        if not re.fullmatch(r"(?:siteferry|scheduler|worker)(?:\.\w+)+", piece):
            continue
        if is_setting(piece) or FILE_NAME.search(piece):
            continue
        module, _, attribute = piece.rpartition(".")
        parent = importlib.import_module(module) if importlib.util.find_spec(module) else None
        is_module = parent is not None and hasattr(parent, "__path__")
        assert (is_module and importlib.util.find_spec(piece)) or hasattr(parent, attribute), piece


@EVERY
def test_every_environment_variable_is_one_that_is_read(document: Path) -> None:
    sources = "\n".join(
        path.read_text()
        for folder in ("siteferry", "scheduler", "worker", "tests/servers", "tests/chaos")
        for path in (ROOT / folder).rglob("*.py")
    )
    sources += (ROOT / "docker-compose.yml").read_text()
    for name in re.findall(r"\bSITEFERRY_[A-Z0-9_]+", document.read_text()):
        if name.startswith(PREFIX):
            assert entry_of(name) is not None, f"{name} in {document.name}"
        else:
            known = {name, name.removesuffix(FILE_SUFFIX)}
            assert any(re.search(rf"\b{n}\b", sources) for n in known), f"{name}: {document.name}"


# -- settings --------------------------------------------------------------------------------------


def fields_of(model: type[BaseModel]) -> dict[str, type[BaseModel] | None]:
    """Key as it is written -> the model below it, None where a value stands."""
    found: dict[str, type[BaseModel] | None] = {}
    for name, field in model.model_fields.items():
        inner = [field.annotation, *typing.get_args(field.annotation)]
        below = [i for i in inner if inspect.isclass(i) and issubclass(i, BaseModel)]
        found[field.alias or name] = below[0] if below else None
    return found


def is_setting(path: str) -> bool:
    """Whether `a.b` is a key of a website file or of siteferry.yaml."""
    for top in (Website, Settings):
        model: type[BaseModel] | None = top
        for part in path.split("."):
            if model is None or part not in fields_of(model):
                break
            model = fields_of(model)[part]
        else:
            return True
    return False


BLOCKS = {key for model in (Website, Settings) for key, below in fields_of(model).items() if below}


@EVERY
def test_every_setting_with_its_block_exists(document: Path) -> None:
    for piece in CODE.findall(prose(document)):
        key = piece.partition(":")[0]
        is_dotted = re.fullmatch(r"[a-z_]+(?:\.[a-z_]+)+", key) and not FILE_NAME.search(key)
        if is_dotted and key.partition(".")[0] in BLOCKS:
            assert is_setting(key), f"{key} in {document.name}"


def test_the_check_of_settings_finds_what_does_not_exist() -> None:
    assert is_setting("ftp.max_connections")
    assert is_setting("worker.idle_seconds")
    assert not is_setting("ftp.max_connection")
    assert not is_setting("ftp.host.name")


@EVERY
def test_every_configuration_that_is_shown_loads(document: Path) -> None:
    for block in blocks(document, "yaml"):
        name = block.splitlines()[0].removeprefix("# ")
        if name == "config/siteferry.yaml":
            parsed = parse_document(block.encode(), name)
            settings, problems = settings_of(parsed, ROOT / name, {})
            assert settings is not None, problems
        elif name.startswith("k8s/"):
            continue  # built and checked by tests/kubernetes/test_documents.py
        else:
            assert name == "config/websites/example.yaml", f"a block that names no file: {name}"
            load_example(block)


def test_the_website_of_the_recipe_with_two_workers_loads() -> None:
    found = re.search(r"<<'END'\n(.*?)^END$", (ROOT / "README.md").read_text(), re.S | re.M)
    assert found is not None
    assert load_example(found[1]).ftp.port == 2121


def load_example(text: str) -> Website:
    data = {"website": {"name": "example"}} | parse_document(text.encode(), "example.yaml").data
    return website_from_mapping(data, "example.yaml", Settings())


# -- what the documents tell as tables -------------------------------------------------------------


def rows_of(document: str, heading: str) -> list[list[str]]:
    """The cells of the first table below `heading`, without its header."""
    text = (ROOT / document).read_text().partition(f"## {heading}\n")[2]
    table = re.search(r"^\|.*\|\n\|[ -|]+\|\n((?:\|.*\|\n)+)", text, re.MULTILINE)
    assert table is not None
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1].splitlines()]


def test_the_table_of_exit_codes_has_every_code_and_no_other() -> None:
    classes = [
        cls
        for _, cls in inspect.getmembers(errors, inspect.isclass)
        if issubclass(cls, SiteferryError)
    ]
    told = [int(row[0]) for row in rows_of("docs/operations.md", "Exit codes")]
    by_signals = {128 + signal.SIGINT, 128 + signal.SIGTERM}
    assert told == sorted({0, CUT_SHORT} | by_signals | {cls.exit_code for cls in classes})


def test_the_states_of_a_run_are_those_that_there_are() -> None:
    told = [row[0].strip("`") for row in rows_of("docs/states.md", "Runs")]
    assert told == [state.value for state in RunState]


def test_every_script_of_the_ledger_is_told_in_the_states() -> None:
    told = (ROOT / "docs/states.md").read_text()
    scripts = {path.name for path in (ROOT / "siteferry/ledger/lua").glob("*.lua")}
    without = scripts - {"key_names.lua"}
    assert {name for name in without if f"`{name}`" not in told} == set()
    assert set(re.findall(r"`(\w+\.lua)`", told)) <= scripts


def test_the_files_of_the_state_directory_are_where_the_table_says() -> None:
    paths = ServerPaths(Path("/state"))
    told = {
        row[0].strip("`").rstrip("/") for row in rows_of("docs/operations.md", "The private server")
    }
    assert told == {paths.data.name, paths.log.name, "worker.log"}


def test_the_log_lines_of_the_table_are_said_by_the_code() -> None:
    sources = "\n".join(
        path.read_text()
        for folder in ("siteferry", "scheduler", "worker")
        for path in (ROOT / folder).rglob("*.py")
    )
    for row in rows_of("docs/operations.md", "Logs"):
        words = row[0].strip("`").removesuffix(" …")
        assert words in sources, words


def test_the_layers_in_the_decision_are_those_that_are_checked() -> None:
    decision = (ROOT / "docs/decisions/0001-layout-and-layers.md").read_text()
    told = next(text for language, text in BLOCK.findall(decision) if language == "text")
    checked = (ROOT / "pyproject.toml").read_text().partition('type = "layers"')[2]
    assert told.split("\n")[:-1] == re.findall(r'^    "(.+)",$', checked.partition("]")[0], re.M)
