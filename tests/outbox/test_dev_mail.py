"""In development the stored mails can be read; in production there is no such page."""

import pytest

from intake.app import create_app
from intake.conf.settings import Mode
from intake.outbox import Mail
from intake.outbox.mailer import open_mailer
from tests.outbox.conftest import ANA, Post


@pytest.fixture
def post(sqlite_instance) -> Post:
    return Post(sqlite_instance)


def catch(post: Post, mail: Mail = Mail.NEW_LEAD) -> None:
    post.enqueue(ANA, mail=mail)
    post.deliver(open_mailer(post.instance.settings))


def test_an_empty_page_says_how_to_make_a_mail_arrive(web) -> None:
    answer = web.get("/dev/mail")
    assert answer.status_code == 200
    assert "No mail has been caught yet." in answer.text
    assert 'href="/"' in answer.text


def test_it_shows_headers_and_words_with_links_to_follow(web, post) -> None:
    catch(post)
    page = web.get("/dev/mail").text
    assert "New request waiting" in page
    assert f"{post.row.id}@example.org" in page
    assert "auto-generated" in page
    assert 'href="http://localhost/desk"' in page
    for article in post.instance.clinic.articles:
        assert f'href="{article.url}"' in page


def test_the_newest_stands_first(web, post) -> None:
    catch(post, Mail.TEST)
    catch(post)
    page = web.get("/dev/mail").text
    assert page.index("New request waiting") < page.index("Test message")


def test_what_a_mail_says_is_never_markup(web, post, tmp_path) -> None:
    catch(post)
    (file,) = (tmp_path / "mail" / "new").iterdir()
    file.write_bytes(file.read_bytes().replace(b"A new request", b"<script src=x></script>"))
    page = web.get("/dev/mail").text
    assert "&lt;script src=x&gt;" in page
    assert "<script src=x>" not in page


def test_with_a_mail_server_nothing_is_caught(make_instance, sqlite_url) -> None:
    instance = make_instance(sqlite_url, smtp_host="localhost")
    page = create_app(instance).test_client().get("/dev/mail").text
    assert "nothing is caught here" in page


def test_in_production_there_is_no_such_page(make_instance, sqlite_url) -> None:
    instance = make_instance(sqlite_url, mode=Mode.PRODUCTION, smtp_host="localhost")
    assert create_app(instance).test_client().get("/dev/mail").status_code == 404
