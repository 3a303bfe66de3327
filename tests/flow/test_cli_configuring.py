"""`hearback init`, `check` and `migrate`, and what every command does when something is wrong."""

from pathlib import Path

import click
import pytest
from cli_support import NOWHERE, Desk, desk_on, refused

from connector.adapters.sandbox.process import SandboxProcess
from connector.cli import main


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A desk whose database is down: most of this needs none."""
    return desk_on(NOWHERE, tmp_path)


@pytest.fixture
def online(database_url: str, tmp_path: Path) -> Desk:
    return desk_on(database_url, tmp_path)


SOME_ID = "0199c0de-0000-7000-8000-000000000000"


# init


def test_init_writes_a_folder_that_is_valid_as_it_is(desk: Desk, tmp_path: Path) -> None:
    target = tmp_path / "my-config"

    written = desk.run("init", target)
    checked = desk.run("check", HEARBACK_CONFIG=str(target))

    assert written.exit_code == 0
    assert f"HEARBACK_CONFIG={target} hearback check" in written.stdout
    assert checked.exit_code == 0, checked.output


def test_init_never_writes_over_a_folder_in_use(desk: Desk) -> None:
    before = (desk.config / "people.csv").read_bytes()

    refused(desk.run("init", desk.config), str(desk.config), "name a new one")

    assert (desk.config / "people.csv").read_bytes() == before


def test_init_needs_a_place_it_may_write_to(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")

    refused(desk.run("init", tmp_path / "file" / "below"), "cannot be written")


# check


def test_check_says_what_the_folder_holds(desk: Desk) -> None:
    result = desk.run("check")

    assert result.exit_code == 0
    assert "is valid: 35 people" in result.stdout
    assert "1 connections" in result.stdout


def test_check_lists_every_complaint_with_file_and_line(desk: Desk) -> None:
    desk.edit("routing.yaml", "person: anna.brandt", "person: anna.brant")
    desk.edit("teams.csv", "henrik.voss", "henrik.fox")
    desk.edit("hearback.yaml", "timezone: Europe/Berlin", "timezone: Europe/Bremen")

    result = desk.run("check")

    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == sorted(line.split(":")[0] for line in lines)
    for words in (
        ("routing.yaml:", "anna.brant", "did you mean 'anna.brandt'?"),
        ("teams.csv:", "henrik.fox"),
        ("hearback.yaml:", "Bremen"),
    ):
        (line,) = [line for line in lines if line.startswith(words[0])]
        assert line.split(":")[1].isdigit()
        assert all(word in line for word in words)
    assert "3 complaints" in result.stderr
    assert "nothing was applied" in result.stderr


def test_check_lets_a_warning_pass(desk: Desk) -> None:
    (desk.config / "teritories.csv").write_text("rule\n", encoding="utf-8")

    result = desk.run("check")

    assert result.exit_code == 0
    assert "teritories.csv:1:" in result.stdout


def test_check_names_the_secrets_that_are_not_set_and_not_their_values(desk: Desk, tmp_path: Path) -> None:
    secret = tmp_path / "form-token"
    secret.write_text("form-token-6vX2", encoding="utf-8")

    result = desk.run(
        "check",
        HEARBACK_API_KEY=None,
        HEARBACK_TYPEFORM_SECRET=None,
        HEARBACK_FORM_TOKEN=None,
        HEARBACK_FORM_TOKEN_FILE=str(secret),
    )

    assert result.exit_code == 0
    assert "HEARBACK_API_KEY, HEARBACK_TYPEFORM_SECRET (or" in result.stdout
    assert not any(value in result.output for name, value in desk.environment.items() if "TOKEN" in name)


def test_check_refuses_a_literal_secret_and_does_not_repeat_it(desk: Desk) -> None:
    desk.edit("hearback.yaml", "token: ${HEARBACK_SANDBOX_TOKEN}", "token: swordfish-0815")

    result = desk.run("check")

    assert result.exit_code == 1
    assert "hearback.yaml:" in result.stdout
    assert "swordfish" not in result.output


def test_check_without_a_folder_checks_the_sample(desk: Desk) -> None:
    assert desk.run("check", HEARBACK_CONFIG=None).exit_code == 0


def test_check_of_a_folder_that_is_not_there_says_what_to_do(desk: Desk, tmp_path: Path) -> None:
    refused(desk.run("check", HEARBACK_CONFIG=str(tmp_path / "nowhere")), "nowhere", "hearback init")


def test_check_connect_names_the_account_behind_each_connection(online: Desk) -> None:
    with SandboxProcess(online.url, token="sandbox-token", port=online.crm_port) as crm:
        empty = online.run("check", "--connect")
        crm.create(
            "users",
            {"Name": "Anna Brandt", "Email": "anna.brandt@nordhammer.example", "IsActive": True},
            id_="U-1001",
            actor="administrator",
        )
        result = online.run("check", "--connect")

    assert empty.exit_code == 1
    assert "no active user" in empty.stdout
    assert result.exit_code == 0, result.output
    assert "connection sandbox: account" in result.stdout


def test_check_connect_tells_a_refused_credential_from_a_crm_that_is_down(online: Desk) -> None:
    with SandboxProcess(online.url, token="another-token", port=online.crm_port):
        refused_token = online.run("check", "--connect")
    down = online.run("check", "--connect")
    unset = online.run("check", "--connect", HEARBACK_SANDBOX_TOKEN=None)

    assert [result.exit_code for result in (refused_token, down, unset)] == [1, 1, 1]
    said = [result.stdout.splitlines()[0] for result in (refused_token, down, unset)]
    assert all(line.startswith("connection sandbox: ") for line in said)
    assert len(set(said)) == 3
    assert "HEARBACK_SANDBOX_TOKEN is not set" in said[2]
    assert "sandbox-token" not in "".join(said)


# migrate


def test_migrate_twice_says_the_same(desk: Desk, empty_database_url: str) -> None:
    first = desk.run("migrate", HEARBACK_DATABASE_URL=empty_database_url)
    second = desk.run("migrate", HEARBACK_DATABASE_URL=empty_database_url)

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert first.stdout == second.stdout
    assert first.stdout.startswith("The database is at revision 0")


# What is wrong is said in one line.

NEED_THE_DATABASE = (
    ("migrate",),
    ("serve",),
    ("deliveries", "list"),
    ("deliveries", "show", SOME_ID),
    ("deliveries", "replay", SOME_ID),
    ("commands", "list"),
    ("commands", "retry", SOME_ID),
    ("commands", "park", SOME_ID),
    ("leads", "list"),
    ("leads", "show", SOME_ID),
    ("explain", SOME_ID),
    ("import", "cards", __file__, "--profile", "postdruck-bremen"),
)


@pytest.mark.parametrize("command", NEED_THE_DATABASE, ids=" ".join)
def test_a_database_that_is_down_is_one_clear_line(command: tuple[str, ...], desk: Desk) -> None:
    refused(desk.run(*command), "the database does not answer")


@pytest.mark.parametrize("command", [("leads", "list"), ("commands", "list"), ("explain", SOME_ID)], ids=" ".join)
def test_a_database_without_our_schema_asks_for_migrate(
    command: tuple[str, ...], desk: Desk, empty_database_url: str
) -> None:
    refused(desk.run(*command, HEARBACK_DATABASE_URL=empty_database_url), "run `hearback migrate`")


def test_an_address_that_is_none_is_said_so_without_repeating_it(desk: Desk) -> None:
    result = desk.run("leads", "list", HEARBACK_DATABASE_URL="my pass word@db")

    refused(result, "HEARBACK_DATABASE_URL", "postgresql://")
    assert "pass word" not in result.output


def test_an_importer_before_the_first_publication_is_told_what_to_do(online: Desk) -> None:
    refused(online.run("import", "cards", __file__, "--profile", "x"), "no configuration is published yet")


@pytest.mark.parametrize(
    ("variable", "value"),
    [("HEARBACK_SECRET_KEY", "short"), ("HEARBACK_SECRET_KEY", " , ")],
)
def test_a_useless_variable_is_named(variable: str, value: str, desk: Desk) -> None:
    refused(desk.run("leads", "list", **{variable: value}), variable)


def test_a_log_form_nobody_knows_is_named(desk: Desk) -> None:
    refused(desk.run("serve", HEARBACK_LOG="xml"), "HEARBACK_LOG", "text or json")


@pytest.mark.parametrize(
    "command",
    [
        ("nonsense",),
        ("leads", "list", "--nonsense"),
        ("leads", "list", "--limit", "0"),
        ("leads", "list", "--status", "lost"),
        ("leads", "show", "17"),
        ("deliveries", "show"),
        ("import", "cards", "/no/such/file.csv", "--profile", "x"),
        ("import", "cards", __file__),
        ("serve", "--port", "eighty"),
    ],
    ids=" ".join,
)
def test_wrong_use_is_exit_code_two_with_a_hint(command: tuple[str, ...], desk: Desk) -> None:
    result = desk.run(*command)

    assert result.exit_code == 2
    assert "Error: " in result.stderr
    assert result.stderr.startswith("Usage: ")


# Help.


def commands_of(command: click.Command, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    found = [(path, command)]
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            found += commands_of(below, (*path, name))
    return found


def test_every_command_and_every_option_explains_itself(desk: Desk) -> None:
    for path, command in commands_of(main):
        shown = desk.run(*path, "--help")
        assert shown.exit_code == 0
        assert "..." not in shown.stdout.replace("[ARGS]...", ""), path
        for option in command.params:
            assert not isinstance(option, click.Option) or option.help, (path, option.name)


def test_the_version_is_told(desk: Desk) -> None:
    assert desk.run("--version").stdout.startswith("hearback, version 0.")
