"""Who may sign in to the console, and what keeps everybody else out."""

import dataclasses
import re
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from argon2.exceptions import VerifyMismatchError
from console_support import PASSWORD, Console, an_account, console_of, signed_in
from web_support import FORM, SECRET_KEY, fresh_database, services_on

from connector import publishing
from connector.flows import users
from connector.services import Services
from connector.settings import default_folder
from connector.store import users as store
from connector.vault import Vault
from webhooks.app import create_app
from webhooks.console.guard import check, roles_of
from webhooks.edge import EXTENSION
from webhooks.limits import Limits


@pytest.fixture(scope="module")
def services(postgres: str, template: str) -> Iterator[Services]:
    with fresh_database(postgres, template) as url, services_on(url) as services:
        an_account(services, "somebody", "keyer")
        yield services


@pytest.fixture
def console(services: Services) -> Console:
    return console_of(services)


def test_before_the_first_account_the_console_says_how_to_make_one(postgres: str, template: str) -> None:
    with fresh_database(postgres, template) as url, services_on(url) as services:
        page = console_of(services).client.get("/console/", follow_redirects=True)

    assert page.status_code == 200
    assert "hearback users add NAME --role admin" in page.text


def test_an_admin_signs_in_and_out(services: Services, console: Console) -> None:
    an_account(services, "ada", "admin")

    first = console.client.get("/console/", follow_redirects=True)
    signed = console.sign_in("ada")
    page = console.client.get("/console/")

    assert "Sign in" in first.text
    assert signed.status_code == 303
    assert signed.headers["Location"] == "/console/"
    assert "ada (admin)" in page.text
    assert console.post("/console/logout").status_code == 303
    assert console.client.get("/console/").status_code == 303


def test_sessions_are_cookies_no_script_reads_and_no_other_site_sends(services: Services, console: Console) -> None:
    an_account(services, "cookie", "admin")

    answer = console.sign_in("cookie")

    (cookie,) = answer.headers.getlist("Set-Cookie")
    assert re.search(r"^hearback_console=[^;]+; Expires=[^;]+; HttpOnly; Path=/console; SameSite=Lax$", cookie)


def test_a_session_of_https_is_for_https_alone(postgres: str, template: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(default_folder(), tmp_path / "config"))
    file = folder / "hearback.yaml"
    text = file.read_text(encoding="utf-8").replace(
        'public_url: "http://127.0.0.1:8650"', "public_url: https://h.example"
    )
    file.write_text(text, encoding="utf-8")
    with fresh_database(postgres, template) as url, services_on(url) as services:
        assert publishing.publish(services.store, folder).hash
        an_account(services, "secure", "admin")
        answer = console_of(services).client.get("/console/login", base_url="https://h.example")

    assert "; Secure; HttpOnly; Path=/console; SameSite=Lax" in answer.headers["Set-Cookie"]


def test_no_other_door_sees_a_cookie(services: Services, console: Console) -> None:
    """The way in for leads has no session and pays for none."""
    an_account(services, "quiet", "admin")
    console.sign_in("quiet")

    for answer in (
        console.client.post(FORM, data={"email": "a@example.com"}),
        console.client.get("/thanks"),
        console.client.get("/healthz"),
    ):
        assert "Set-Cookie" not in answer.headers
        assert "Cookie" not in answer.headers.get("Vary", "")


# Roles.


def console_routes(console: Console) -> list[tuple[str, str]]:
    """Return every address of the console with its method."""
    application = console.client.application
    filled = {"filename": "console.css", "receipt": str(UUID(int=1)), "lead_id": str(UUID(int=1))}
    with application.test_request_context():
        urls = application.url_map.bind("localhost")
        return [
            (method, urls.build(rule.endpoint, {name: filled[name] for name in rule.arguments}))
            for rule in application.url_map.iter_rules()
            if rule.endpoint.startswith("console.")
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
        ]


#: Who gets past the guard, by method and address; anybody else is sent to the login or refused.
KEYER, MANAGER, ADMIN = ("admin", "manager", "keyer"), ("admin", "manager"), ("admin",)
KEYING = ("admin", "keyer")
ONE = f"/console/intake/{UUID(int=1)}"
MATRIX = {
    ("GET", "/console/static/console.css"): ("", *KEYER),
    ("GET", "/console/login"): ("", *KEYER),
    ("POST", "/console/login"): ("", *KEYER),
    ("POST", "/console/logout"): KEYER,
    ("GET", "/console/password"): KEYER,
    ("POST", "/console/password"): KEYER,
    ("GET", "/console/"): KEYER,
    ("GET", "/console/intake"): MANAGER,
    ("GET", "/console/intake.csv"): MANAGER,
    ("POST", "/console/intake/search"): MANAGER,
    ("GET", "/console/intake/release"): MANAGER,
    ("POST", "/console/intake/release"): MANAGER,
    ("GET", ONE): MANAGER,
    ("POST", f"{ONE}/release"): MANAGER,
    ("POST", f"{ONE}/reveal"): ADMIN,
    ("GET", "/console/cards"): KEYER,
    ("POST", "/console/cards"): KEYING,
    ("GET", "/console/cards/key"): KEYING,
    ("POST", "/console/cards/key"): KEYING,
    ("GET", "/console/cards/second"): KEYING,
    ("POST", "/console/cards/second"): KEYING,
    ("GET", "/console/cards/settle"): KEYER,
    ("POST", "/console/cards/settle"): KEYER,
    ("GET", f"/console/leads/{UUID(int=1)}"): MANAGER,
}


def test_every_page_of_the_console_says_who_may_open_it(console: Console) -> None:
    application = console.client.application
    with application.test_request_context():
        silent = [
            rule.rule
            for rule in application.url_map.iter_rules()
            if rule.rule.startswith("/console") and roles_of(rule.endpoint) is None
        ]

    assert silent == []
    assert set(console_routes(console)) == set(MATRIX)


def test_a_page_that_says_nothing_is_open_to_nobody(services: Services) -> None:
    an_account(services, "curious", "admin")
    application = create_app(services)
    application.add_url_rule("/console/new", "console.account.new", lambda: "secret")
    console = Console(services, application.test_client())
    application.before_request_funcs["console.account"] = [check]
    console.sign_in("curious")

    answer = console.client.get("/console/new")

    assert answer.status_code == 403
    assert "secret" not in answer.text


@pytest.mark.parametrize("role", ["", "admin", "manager", "keyer"])
def test_each_role_opens_its_pages_and_no_other(services: Services, role: str) -> None:
    """Every address with every role: the matrix is the whole truth."""
    if role:
        an_account(services, f"matrix-{role}", role)
    console = signed_in(services, f"matrix-{role}") if role else console_of(services)
    token = console.token("/console/password" if role else "/console/login")

    def open_to_role(method: str, address: str) -> bool:
        data = {"csrf_token": token} if method == "POST" else None
        with console.client.open(address, method=method, data=data) as answer:
            sent_away = answer.headers.get("Location", "").startswith("/console/login?") or (
                answer.headers.get("Location") == "/console/login" and not role
            )
            return answer.status_code != 403 and not sent_away

    # Whoever signs out sees nothing afterwards.
    in_order = sorted(MATRIX, key=lambda each: "logout" in each[1])
    assert [each for each in in_order if open_to_role(*each)] == [each for each in in_order if role in MATRIX[each]]


# Forged forms, stolen and forgotten sessions.


@pytest.mark.parametrize("token", ["", "forged", None])
def test_a_form_of_another_site_is_refused(services: Services, token: str | None) -> None:
    name = f"forged-{token}"
    an_account(services, name, "admin")
    console = signed_in(services, name)

    for method, address in MATRIX:
        if method == "POST":
            data = {} if token is None else {"csrf_token": token}
            assert console.client.post(address, data=data).status_code == 400, address
    assert console.client.get("/console/").status_code == 200


def test_a_locked_account_is_out_at_once(services: Services) -> None:
    user = an_account(services, "locked", "admin")
    console = signed_in(services, "locked")
    with services.store.transaction() as tx:
        store.disable(tx, user.id)

    assert console.client.get("/console/").status_code == 303
    assert console.sign_in("locked").status_code == 401


def test_a_cookie_that_was_copied_ends_with_the_session(services: Services) -> None:
    an_account(services, "copied", "admin")
    console = signed_in(services, "copied")
    cookie = console.client.get_cookie("hearback_console", path="/console")
    assert cookie is not None
    console.post("/console/logout")
    thief = console_of(services)
    thief.client.set_cookie("hearback_console", cookie.value, path="/console")

    assert thief.client.get("/console/").status_code == 303


def test_a_session_before_the_login_is_not_the_one_after(services: Services, console: Console) -> None:
    """Session fixation: nothing that was set before the login counts after it."""
    an_account(services, "fixed", "admin")
    before = console.token()
    console.sign_in("fixed")

    assert console.token("/console/password") != before
    assert console.client.post("/console/logout", data={"csrf_token": before}).status_code == 400


@pytest.mark.parametrize(("aged", "status"), [(timedelta(hours=11), 200), (timedelta(hours=13), 303)])
def test_a_session_has_an_end(
    services: Services, monkeypatch: pytest.MonkeyPatch, aged: timedelta, status: int
) -> None:
    name = f"aged-{status}"
    an_account(services, name, "admin")
    console = signed_in(services, name)
    with console.client.session_transaction("/console/") as session:
        session["since"] -= aged.total_seconds()

    assert console.client.get("/console/").status_code == status


def test_sessions_survive_a_new_key_and_end_with_the_old_one(services: Services) -> None:
    """HEARBACK_SECRET_KEY is rotated: the new key signs, the old one still reads."""
    an_account(services, "rotated", "admin")
    old = signed_in(services, "rotated").client.get_cookie("hearback_console", path="/console")
    assert old is not None

    def opened_with(keys: str) -> int:
        rotated = console_of(Services(services.store, Vault(keys), environ=services.environ))
        rotated.client.set_cookie("hearback_console", old.value, path="/console")
        return rotated.client.get("/console/").status_code

    assert opened_with(f"{'n' * 40},{SECRET_KEY}") == 200
    assert opened_with("n" * 40) == 303


# The login.


@pytest.mark.parametrize(
    "asked",
    [
        "https://evil.example/console/",
        "//evil.example/console/",
        "/\\evil.example",
        "/console/\\..\\evil",
        "javascript:alert(1)",
        "/console/\r\nSet-Cookie: a=b",
        "/elsewhere",
        "",
    ],
)
def test_the_login_leads_to_the_console_and_nowhere_else(services: Services, asked: str) -> None:
    name = f"open-{abs(hash(asked))}"
    an_account(services, name, "admin")

    answer = console_of(services).sign_in(name, next=asked)

    assert answer.headers["Location"] == "/console/"


def test_the_login_leads_back_to_the_page_that_was_asked_for(services: Services, console: Console) -> None:
    an_account(services, "back", "admin")
    sent = console.client.get("/console/intake?outcome=quarantined")
    form = console.client.get(sent.headers["Location"]).text

    assert 'name="next" value="/console/intake?outcome=quarantined"' in form
    answer = console.sign_in("back", next="/console/intake?outcome=quarantined")
    assert answer.headers["Location"] == "/console/intake?outcome=quarantined"


def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(services: Services, console: Console) -> None:
    an_account(services, "known", "admin")
    hide = re.compile(r'(csrf_token|name)" value="[^"]*"|value="(known|unknown)"')

    wrong, unknown = console.sign_in("known", "wrong wrong wrong"), console.sign_in("unknown", "wrong wrong wrong")

    assert wrong.status_code == unknown.status_code == 401
    assert hide.sub("", wrong.text) == hide.sub("", unknown.text)


def test_an_unknown_name_costs_as_much_as_a_wrong_password(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time tells nothing: both verify one hash of the same cost."""
    user = an_account(services, "costly", "admin")
    verified: list[str] = []

    class Counting:
        def verify(self, hashed: str, _password: str) -> bool:
            verified.append(hashed.rsplit("$", 2)[0])
            raise VerifyMismatchError

    monkeypatch.setattr(users, "_HASHER", Counting())

    assert users.sign_in(services, user.name, "wrong") is None
    assert users.sign_in(services, "nobody at all", "wrong") is None
    assert len(verified) == 2
    assert verified[0] == verified[1]


@pytest.fixture
def still(services: Services) -> Console:
    """A console whose limits never fill up again."""
    console = console_of(services)
    extensions = console.client.application.extensions
    extensions[EXTENSION] = dataclasses.replace(extensions[EXTENSION], limits=Limits(lambda: 0.0))
    return console


def test_guessing_is_slowed_down_at_an_account_from_wherever(services: Services, still: Console) -> None:
    an_account(services, "guessed", "admin")
    answers = [
        still.client.post(
            "/console/login",
            data={"csrf_token": still.token(), "name": "Guessed", "password": "guess"},
            environ_base={"REMOTE_ADDR": f"198.51.{number}.7"},
        )
        for number in range(14)
    ]

    assert [answer.status_code for answer in answers] == [401] * 12 + [429] * 2
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert "too many attempts" in answers[-1].text


def test_guessing_is_slowed_down_from_a_network_at_whatever_account(still: Console) -> None:
    token = still.token()
    codes = [
        still.client.post(
            "/console/login",
            data={"csrf_token": token, "name": f"name-{number}", "password": "guess"},
            environ_base={"REMOTE_ADDR": f"203.0.113.{number}"},
        ).status_code
        for number in range(42)
    ]

    assert codes == [401] * 40 + [429] * 2


def test_a_one_time_password_only_serves_to_choose_another(services: Services, console: Console) -> None:
    an_account(services, "newcomer", "manager", one_time=True)
    console.sign_in("newcomer")

    assert console.client.get("/console/intake").headers["Location"] == "/console/password"
    assert console.post("/console/password", now="wrong wrong wrong", new="plain words here").status_code == 422
    assert console.post("/console/password", now=PASSWORD, new="short").status_code == 422
    assert console.post("/console/password", now=PASSWORD, new="i am NEWCOMER here").status_code == 422
    assert console.post("/console/password", now=PASSWORD, new="plain words here").status_code == 303
    assert console.client.get("/console/intake").status_code == 200
    assert console_of(services).sign_in("newcomer").status_code == 401
    assert console_of(services).sign_in("newcomer", "plain words here").status_code == 303


def test_a_new_password_ends_every_other_session(services: Services) -> None:
    an_account(services, "changed", "admin")
    here, there = signed_in(services, "changed"), signed_in(services, "changed")

    here.post("/console/password", now=PASSWORD, new="plain words here")

    assert here.client.get("/console/").status_code == 200
    assert there.client.get("/console/").status_code == 303


def test_passwords_are_kept_as_argon2_hashes(services: Services) -> None:
    an_account(services, "hashed", "admin")
    with psycopg.connect(services.store.url) as connection:
        kept = [row[0] for row in connection.execute("SELECT password FROM console_user")]

    assert all(each.startswith("$argon2id$v=19$m=19456,t=2,p=1$") for each in kept)
    assert len(set(kept)) == len(kept)


def test_pages_allow_no_script_or_style_but_our_own(services: Services) -> None:
    an_account(services, "policy", "admin")
    console = signed_in(services, "policy")
    for address in ("/console/", "/console/intake", "/console/password"):
        page = console.client.get(address)
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son[a-z]+=|https?://", page.text)
        assert page.headers["Cache-Control"] == "no-store"
