"""Whether the two articles still stand where we say: asked of their sites, where that is allowed (P6).

Nobody's browser is involved, and nothing about anybody is sent. A site that does not answer is no
reason to close a door: the check is amber at most.
"""

from http import HTTPStatus
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from intake.conf.clinic import Article
from intake.conf.settings import Outbound
from intake.core.i18n import gettext, translate
from intake.instance import Instance
from intake.monitoring.checks import Check, State

LINK_TIMEOUT = 10
ARTICLES_CHECK = "article links"
_WITHOUT_HEAD = (HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED, HTTPStatus.FORBIDDEN)


def article_links(instance: Instance) -> Check:
    """Ask for both pages, one after the other; says by number which of them does not answer, or moved."""
    if instance.settings.outbound is Outbound.NO:
        said = gettext("Not looked at: INTAKE_OUTBOUND allows no question to other sites.")
        return Check(ARTICLES_CHECK, State.GREEN, said)
    pair = enumerate(instance.clinic.articles, 1)
    told = [found for number, each in pair if (found := _link_problem(number, each))]
    if told:
        return Check(
            ARTICLES_CHECK, State.AMBER, " ".join(told), gettext("Look at articles.url in clinic.toml.")
        )
    return Check(ARTICLES_CHECK, State.GREEN, gettext("Both articles answer at their addresses."))


def _link_problem(number: int, article: Article) -> str:
    """What is wrong with one article's address, in a sentence; empty when nothing is."""
    try:
        there = _ask(article.url)
    except (URLError, OSError, ValueError) as failure:
        return translate("Article %(num)s does not answer (%(why)s).", num=number, why=_kind(failure))
    if there == article.url:
        return ""
    return translate("Article %(num)s has moved to another address.", num=number)


def _ask(url: str) -> str:
    """The address that answered in the end, by HEAD, or by GET where a site knows no HEAD."""
    try:
        return _open(url, "HEAD")
    except HTTPError as refused:
        if refused.code not in _WITHOUT_HEAD:
            raise
        return _open(url, "GET")


def _open(url: str, method: str) -> str:
    asked = Request(url, method=method, headers={"User-Agent": "Mozilla/5.0 (link check)"})  # noqa: S310
    with urlopen(asked, timeout=LINK_TIMEOUT) as answer:  # noqa: S310  https by clinic.toml's own rule
        return str(answer.url)


def _kind(failure: Exception) -> str:
    return str(failure.code) if isinstance(failure, HTTPError) else type(failure).__name__
