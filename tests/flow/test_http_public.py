"""The pages anybody may open."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from web_support import BROWSER, ENVIRON, FORM, Web, an_invitation, fresh_database, services_on, web_of

from connector.services import Services
from webhooks.app import create_app
from webhooks.texts import LANGUAGES, TEXTS


@pytest.fixture(scope="module")
def services(postgres: str, template: str) -> Iterator[Services]:
    with fresh_database(postgres, template) as url, services_on(url) as services:
        yield services


@pytest.fixture
def web(services: Services) -> Web:
    return web_of(services)


def answers(web: Web, token: str) -> list[tuple[int, str]]:
    rows = web.rows(
        "SELECT a.score, a.text FROM survey_answer a JOIN survey_invitation i ON i.id = a.invitation "
        f"WHERE i.deal = 'deal-{token}'"
    )
    return [(row["score"], row["text"]) for row in rows]


@pytest.mark.parametrize(("lang", "words"), [("en", "Thank you"), ("de", "Vielen Dank"), ("pl", "Dziękujemy")])
def test_the_thank_you_page_speaks_the_visitors_language(web: Web, lang: str, words: str) -> None:
    asked = web.client.get(f"/thanks?lang={lang}")
    negotiated = web.client.get("/thanks", headers={"Accept-Language": f"fr, {lang};q=0.8"})

    assert words in asked.text
    assert words in negotiated.text
    assert f'<html lang="{lang}">' in asked.text


def test_an_unknown_language_is_english(web: Web) -> None:
    assert "Thank you" in web.client.get("/thanks?lang=<script>", headers={"Accept-Language": "xx"}).text


def test_a_form_post_leads_to_the_page_in_the_visitors_language(web: Web) -> None:
    answer = web.client.post(FORM, data={"email": "a@example.com"}, headers={**BROWSER, "Accept-Language": "pl"})

    assert answer.headers["Location"] == "/thanks?lang=pl"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_survey_is_shown_in_the_invitations_language_with_the_companys_name(web: Web, language: str) -> None:
    token = f"show-{language}"
    an_invitation(web.services, token, language=language)

    page = web.client.get(f"/s/{token}")

    assert page.status_code == 200
    assert TEXTS[language]["survey_title"] in page.text
    assert "Nordhammer Tools" in page.text
    assert page.text.count('type="radio"') == 11


def test_opening_a_survey_records_nothing(web: Web) -> None:
    """B4: mail scanners open links."""
    an_invitation(web.services, "scanned")

    for _ in range(3):
        web.client.get("/s/scanned")
        web.client.head("/s/scanned")

    assert answers(web, "scanned") == []
    assert web.client.post("/s/scanned", data={"score": "9"}).status_code == 200


def test_an_answer_counts_once(web: Web) -> None:
    """B4: single-use."""
    an_invitation(web.services, "once")

    first = web.client.post("/s/once", data={"score": "7", "text": "Schnell & gut\u202e"})
    second = web.client.post("/s/once", data={"score": "0"})
    shown = web.client.get("/s/once")

    assert (first.status_code, second.status_code, shown.status_code) == (200, 410, 410)
    assert TEXTS["en"]["survey_already_title"] in second.text
    assert answers(web, "once") == [(7, "Schnell & gut")]


def test_answers_sent_at_once_count_once(web: Web) -> None:
    """B4: the visitor presses twice."""
    an_invitation(web.services, "race")

    def post(score: int) -> int:
        return web.client.application.test_client().post("/s/race", data={"score": str(score)}).status_code

    with ThreadPoolExecutor(6) as pool:
        codes = sorted(pool.map(post, range(6)))

    assert codes == [200, 410, 410, 410, 410, 410]
    assert len(answers(web, "race")) == 1


def test_an_expired_survey_says_so(web: Web) -> None:
    """B4: expiring."""
    an_invitation(web.services, "late", days=-1, language="de")

    shown, sent = web.client.get("/s/late"), web.client.post("/s/late", data={"score": "5"})

    assert (shown.status_code, sent.status_code) == (410, 410)
    assert TEXTS["de"]["survey_expired_title"] in shown.text
    assert answers(web, "late") == []


@pytest.mark.parametrize("token", ["nobody", "%00", "%ff%fe", "x" * 3000, "'--"])
def test_an_unknown_survey_link_is_a_friendly_404(web: Web, token: str) -> None:
    shown, sent = web.client.get(f"/s/{token}"), web.client.post(f"/s/{token}", data={"score": "5"})

    assert (shown.status_code, sent.status_code) == (404, 404)
    assert TEXTS["en"]["survey_unknown_title"] in shown.text


@pytest.mark.parametrize("score", ["", "11", "-1", "５", "1e1", "abc", " 5"])
def test_without_a_score_the_page_asks_again_and_keeps_the_text(web: Web, score: str) -> None:
    token = f"score-{score.encode().hex()}"
    an_invitation(web.services, token)

    page = web.client.post(f"/s/{token}", data={"score": score, "text": "<b>mine</b>"})

    assert page.status_code == 422
    assert TEXTS["en"]["survey_missing"] in page.text
    assert "&lt;b&gt;mine&lt;/b&gt;" in page.text
    assert answers(web, token) == []


def test_pages_are_strict_and_stay_private(web: Web) -> None:
    an_invitation(web.services, "strict")

    page = web.client.get("/s/strict")

    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self'" in policy
    assert "unsafe" not in policy
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["X-Robots-Tag"] == "noindex"
    assert page.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in page.headers
    assert not re.search(r"<script|style=|\son\w+=", page.text)


def test_styles_are_served_and_may_be_kept(web: Web) -> None:
    with web.client.get("/static/page.css") as styles:
        assert styles.status_code == 200
        assert styles.mimetype == "text/css"
        assert styles.headers["Cache-Control"] == "no-cache"


def test_the_sample_form_is_shown_in_a_demo_only(web: Web) -> None:
    demo = Services(web.services.store, web.services.vault, environ={**ENVIRON, "HEARBACK_DEMO": "1"})

    page = create_app(demo).test_client().get("/sample-form?lang=de")

    assert web.client.get("/sample-form").status_code == 404
    assert f'action="{FORM}"' in page.text
    assert 'name="retURL"' in page.text
    assert re.search(r'name="website" tabindex="-1" autocomplete="off"', page.text)


@pytest.mark.parametrize("accept", ["text/html", "*/*"])
def test_a_person_gets_a_page_and_a_program_a_line(web: Web, accept: str) -> None:
    answer = web.client.post("/in/guess", data={}, headers={"Accept": accept})

    assert answer.status_code == 404
    assert ("<h1>" in answer.text) == (accept == "text/html")
