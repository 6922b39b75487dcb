"""Check that both articles are still at their addresses, by asking their sites, where that is allowed (P6).

No visitor's browser is involved, and nothing about a person is sent. The check is amber at most: a site
that does not answer is no reason to close the form.
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
    """Request both pages, LINK_TIMEOUT seconds each.

    Names by number those that do not answer or have moved.
    """
    if instance.settings.outbound is Outbound.NO:
        sentence = gettext("Not looked at: INTAKE_OUTBOUND allows no question to other sites.")
        return Check(ARTICLES_CHECK, State.GREEN, sentence)
    articles = enumerate(instance.clinic.articles, 1)
    problems = [problem for number, each in articles if (problem := _link_problem(number, each))]
    if problems:
        return Check(
            ARTICLES_CHECK, State.AMBER, " ".join(problems), gettext("Look at articles.url in clinic.toml.")
        )
    return Check(ARTICLES_CHECK, State.GREEN, gettext("Both articles answer at their addresses."))


def _link_problem(number: int, article: Article) -> str:
    """A sentence on what is wrong with the address of one article; empty when nothing is."""
    try:
        url = _final_url(article.url)
    except (URLError, OSError, ValueError) as failure:
        return translate("Article %(num)s does not answer (%(why)s).", num=number, why=_code(failure))
    if url == article.url:
        return ""
    return translate("Article %(num)s has moved to another address.", num=number)


def _final_url(url: str) -> str:
    """The address after redirects, asked by HEAD, or by GET where a site does not allow HEAD.

    Raises URLError.
    """
    try:
        return _open(url, "HEAD")
    except HTTPError as refused:
        if refused.code not in _WITHOUT_HEAD:
            raise
        return _open(url, "GET")


def _open(url: str, method: str) -> str:
    request = Request(url, method=method, headers={"User-Agent": "Mozilla/5.0 (link check)"})  # noqa: S310
    with urlopen(request, timeout=LINK_TIMEOUT) as response:  # noqa: S310  https by clinic.toml's own rule
        return str(response.url)


def _code(failure: Exception) -> str:
    return str(failure.code) if isinstance(failure, HTTPError) else type(failure).__name__
