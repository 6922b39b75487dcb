"""Check that both articles are still at their addresses, by asking their sites, where that is allowed (P6).

No visitor's browser is involved, and nothing about a person is sent. The check is amber at most: a site
that does not answer is no reason to close the form.
"""

from urllib.error import HTTPError
from urllib.request import Request, urlopen

from intake.conf.settings import Outbound
from intake.core.i18n import gettext, translate
from intake.instance import Instance
from intake.monitoring.checks import Check, State

LINK_TIMEOUT = 10
ARTICLES_CHECK = "article links"


def article_links(instance: Instance) -> Check:
    """Request both pages, LINK_TIMEOUT seconds each, without reading them.

    Names by number those that do not answer or have moved.
    """
    if instance.settings.outbound is Outbound.NO:
        sentence = gettext("Not looked at: INTAKE_OUTBOUND allows no question to other sites.")
        return Check(ARTICLES_CHECK, State.GREEN, sentence)
    problems = []
    for number, article in enumerate(instance.clinic.articles, 1):
        request = Request(article.url, headers={"User-Agent": "Mozilla/5.0 (link check)"})  # noqa: S310
        try:
            with urlopen(request, timeout=LINK_TIMEOUT) as page:  # noqa: S310  https by clinic.toml's own rule
                moved = page.url != article.url
        except (OSError, ValueError) as failure:
            why = str(failure.code) if isinstance(failure, HTTPError) else type(failure).__name__
            problems.append(translate("Article %(num)s does not answer (%(why)s).", num=number, why=why))
            continue
        if moved:
            problems.append(translate("Article %(num)s has moved to another address.", num=number))
    if problems:
        what_to_do = gettext("Look at articles.url in clinic.toml.")
        return Check(ARTICLES_CHECK, State.AMBER, " ".join(problems), what_to_do)
    return Check(ARTICLES_CHECK, State.GREEN, gettext("Both articles answer at their addresses."))
