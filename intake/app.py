"""The Flask application factory: request limits, blueprints, error handlers."""

from urllib.parse import urlsplit

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from intake.core import i18n, paths
from intake.instance import Instance
from intake.web import errors, templating
from intake.web.auth.invitation import invitation
from intake.web.auth.login import login
from intake.web.desk.routes import desk
from intake.web.dev_mailbox import dev
from intake.web.errors import write_fallback_pages
from intake.web.health_endpoints import status
from intake.web.public.manage import manage
from intake.web.public.routes import public

__all__ = ["create_app", "write_fallback_pages"]

LARGEST_BODY = 64 * 1024  # bytes; a form with every field at its longest is under 8 KiB
MOST_PARTS = 100
DEVELOPMENT_HOSTS = ("localhost", "127.0.0.1")


def create_app(instance: Instance) -> Flask:
    """The application of one instance. It keeps no personal data between two requests."""
    app = templating.Application(
        "intake", template_folder=str(paths.TEMPLATES), static_folder=str(paths.STATIC)
    )
    settings = instance.settings
    app.extensions["intake"] = instance
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False  # its redirect would echo the requested port and scheme
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY
    app.config["MAX_FORM_MEMORY_SIZE"] = LARGEST_BODY
    app.config["MAX_FORM_PARTS"] = MOST_PARTS
    hosts = [urlsplit(settings.base_url).hostname or ""]
    app.config["TRUSTED_HOSTS"] = [*hosts, *DEVELOPMENT_HOSTS] if settings.development else hosts
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops)  # type: ignore[method-assign]
    errors.init_app(app)
    for language in i18n.LANGUAGES:
        prefix = i18n.path_prefix(language)
        suffix = f"_{language}" if prefix else ""
        app.register_blueprint(public, url_prefix=prefix, name=f"public{suffix}")
        app.register_blueprint(manage, url_prefix=prefix, name=f"manage{suffix}")
    for blueprint in (login, invitation, desk, status):
        app.register_blueprint(blueprint)
    if settings.development:
        app.register_blueprint(dev)
    templating.init_app(app)
    errors.render_error_pages_ahead(app)
    return app
