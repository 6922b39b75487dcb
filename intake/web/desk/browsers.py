"""Which family a browser says it is of; nothing else of what it says is kept."""

from intake.accounts.models import Browser

_SIGNS = (
    ("Edg", Browser.EDGE),
    ("Firefox/", Browser.FIREFOX),
    ("FxiOS/", Browser.FIREFOX),
    ("Chrome/", Browser.CHROME),
    ("CriOS/", Browser.CHROME),
    ("Safari/", Browser.SAFARI),
)
"""In this order: each browser also names the ones it wants to be taken for."""
NAMES = {
    Browser.CHROME: "Chrome",
    Browser.EDGE: "Edge",
    Browser.FIREFOX: "Firefox",
    Browser.SAFARI: "Safari",
}


def family(stated: str) -> Browser:
    """The family, from the User-Agent header; OTHER for what we do not know."""
    return next((browser for sign, browser in _SIGNS if sign in stated), Browser.OTHER)
