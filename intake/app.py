"""The web application, as a table of contents: its limits, its pages, its doors."""

from urllib.parse import urlsplit

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from intake import resources
from intake.instance import Instance
from intake.settings import Settings
from intake.web import rendering, responses
from intake.web.desk import desk
from intake.web.dev import dev
from intake.web.here import SPANISH
from intake.web.joining import joining
from intake.web.login import login
from intake.web.manage import manage
from intake.web.public import public
from intake.web.responses import write_fallback_pages
from intake.web.status import status

__all__ = ["create_app", "write_fallback_pages"]

LARGEST_BODY = 64 * 1024  # a whole form with every word at its longest is under 8 KiB
MOST_PARTS = 100
DEVELOPMENT_HOSTS = ("localhost", "127.0.0.1")


def create_app(instance: Instance) -> Flask:
    """The application of one service. It holds nothing of a person between two requests."""
    app = Flask("intake", template_folder=str(resources.TEMPLATES), static_folder=str(resources.STATIC))
    app.extensions["intake"] = instance
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False  # its redirect would repeat the port and scheme that were asked for
    _limit(app, instance.settings)
    rendering.prepare(app)
    responses.prepare(app)
    for prefix, suffix in (("", ""), (SPANISH, "_es")):
        app.register_blueprint(public, url_prefix=prefix, name=f"public{suffix}")
        app.register_blueprint(manage, url_prefix=prefix, name=f"manage{suffix}")
    for blueprint in (login, joining, desk, status):
        app.register_blueprint(blueprint)
    if instance.settings.development:
        app.register_blueprint(dev)
    responses.make_ready(app)
    return app


def _limit(app: Flask, settings: Settings) -> None:
    """How much we read, which names we answer to, and whose word we take for who is calling."""
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY
    app.config["MAX_FORM_MEMORY_SIZE"] = LARGEST_BODY
    app.config["MAX_FORM_PARTS"] = MOST_PARTS
    app.config["TRUSTED_HOSTS"] = _hosts(settings)
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]


def _hosts(settings: Settings) -> list[str]:
    own = urlsplit(settings.base_url).hostname or ""
    return [own, *DEVELOPMENT_HOSTS] if settings.development else [own]
