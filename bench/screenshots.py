"""Takes the pictures of docs/pages.md anew: starts the service in a folder of its own, fills it, looks at it.

    ./dev screenshots

Needs a Chromium, as the tests do. The clock runs ahead to a Wednesday morning on which the clinic is open,
the requests are those of `intake demo`, and nothing of it stays but the pictures.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from playwright.sync_api import Browser, Page, sync_playwright

from intake.act import Act

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "screenshots"
sys.path[0] = str(ROOT)  # not bench/, whose files may be called as the library's are

from intake.accounts import dev_account  # noqa: E402
from intake.accounts.dev_account import DevAccount  # noqa: E402
from intake.cli.context import load_settings, open_instance  # noqa: E402
from intake.cli.run import web_server_answers  # noqa: E402
from tests.browser import FLAGS, MISSING, chromium  # noqa: E402
from tests.browser import fill as fill_in  # noqa: E402

PHONE, WIDE, DESK_SIZE = (390, 844), (1280, 800), (1100, 700)
PATIENCE = 60
LARGEST = 150_000
WEDNESDAY = 2
Step = Callable[[Page, str], None]


def fill(page: Page, address: str, path: str = "/") -> None:
    """Answers somebody may give: a call or a text, weekday mornings, Georgia."""
    page.goto(address + path)
    fill_in(
        page,
        preferred_name="Robin",
        channels=["call", "text"],
        phone="(404) 555-0119",
        windows=["weekday_morning"],
        region="US-GA",
        consent_use=None,
    )


def form(path: str) -> Step:
    """The first page as it opens."""
    return lambda page, address: page.goto(address + path) and None


def ways(page: Page, address: str) -> None:
    """The ways of contact, each with its own yes."""
    fill(page, address)
    page.locator(".ways").scroll_into_view_if_needed()
    page.evaluate("document.querySelector('.ways').scrollIntoView()")


def problems(page: Page, address: str) -> None:
    """The page that came back with something to put right."""
    fill(page, address)
    page.fill("#phone", "404")
    page.locator(".send .btn").click()
    page.locator(".problems").wait_for()


def kept(path: str) -> Step:
    """The page to keep."""

    def step(page: Page, address: str) -> None:
        fill(page, address, path)
        page.check("#consent_use")
        page.locator(".send .btn").click()
        page.locator("#code-words").wait_for()

    return step


def managed(path: str) -> Step:
    """What the private code opens."""

    def step(page: Page, address: str) -> None:
        kept(path)(page, address)
        code = page.locator("#code-words").inner_text()
        page.goto(f"{address}{path}manage")
        page.fill("#code", code)
        page.press("#code", "Enter")
        page.locator("dl.held").wait_for()

    return step


def lead(page: Page, address: str) -> None:
    """The first request of the queue, before its number is shown."""
    page.goto(f"{address}/desk")
    page.locator(".lead a").first.click()
    page.locator(".banner").wait_for()


PUBLIC: dict[str, tuple[tuple[int, int], bool, Step]] = {
    "form-phone-en": (PHONE, False, form("/")),
    "form-phone-es": (PHONE, False, form("/es/")),
    "form-wide-en": (WIDE, False, form("/")),
    "form-phone-dark": (PHONE, True, form("/")),
    "ways-phone-en": (PHONE, False, ways),
    "problems-phone-en": (PHONE, False, problems),
    "kept-phone-en": (PHONE, False, kept("/")),
    "kept-wide-es": (WIDE, False, kept("/es/")),
    "manage-phone-es": (PHONE, False, managed("/es/")),
}
"""Name of the picture: size of the screen, dark or not, and the way to the page."""
DESK: dict[str, Step] = {
    "desk-queue": form("/desk"),
    "desk-lead": lead,
    "desk-handover": form("/desk/handover"),
    "desk-by-phone": form("/desk/phone"),
    "desk-numbers": form("/desk/numbers"),
}


def minutes_to_wednesday() -> int:
    """From now to ten past ten on the next Wednesday, on the clinic's clock."""
    now = datetime.now(UTC).astimezone(ZoneInfo("America/New_York"))
    wanted = now.replace(hour=10, minute=10, second=0) + timedelta(days=(WEDNESDAY - now.weekday()) % 7 or 7)
    return int((wanted - now) / timedelta(minutes=1))


def prepare(folder: str) -> None:
    """Settings for a service of its own, on a free port, in this process and in those it starts."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for name in [each for each in os.environ if each.startswith("INTAKE_")]:
        del os.environ[name]
    os.environ |= {
        "INTAKE_MODE": "development",
        "INTAKE_DATA_DIR": folder,
        "INTAKE_PORT": str(port),
        "INTAKE_BASE_URL": f"http://127.0.0.1:{port}",
        "INTAKE_TIME_SHIFT": str(minutes_to_wednesday()),
    }


def intake(*arguments: str) -> None:
    """One command of the operator, to its end."""
    subprocess.run(
        [sys.executable, "-m", "intake", *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
    )


@contextmanager
def service() -> Iterator[DevAccount]:
    """The whole service with made-up requests in it, and the account to sign in with."""
    intake("db", "upgrade")
    with open_instance() as instance, instance.database.transaction() as session:
        account = dev_account.ensure_dev_account(Act(session, instance))
    intake("demo", "--leads", "16")
    running = subprocess.Popen([sys.executable, "-m", "intake", "run"], cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + PATIENCE
        while not web_server_answers(load_settings()) and time.monotonic() < until:
            time.sleep(0.2)
        yield account
    finally:
        running.terminate()
        running.wait()


def opened_page(browser: Browser, size: tuple[int, int], *, dark: bool = False, language: str = "en") -> Page:
    """A page of its own, with a clean history."""
    width, height = size
    return browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",
        locale=f"{language}-US",
    ).new_page()


def sign_in(page: Page, address: str, account: DevAccount) -> None:
    """By password and code, as staff do."""
    page.goto(f"{address}/sign-in")
    page.get_by_label("Work email").fill(account.email)
    page.get_by_label("Password").fill(account.password)
    with open_instance() as instance:
        page.get_by_label("Code from your authenticator app").fill(account.code(instance.clock()))
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/desk")


def keep(page: Page, name: str) -> None:
    """Write the picture. Ends the program when it is too large for a repository."""
    path = FOLDER / f"{name}.png"
    page.screenshot(path=path, animations="disabled")
    if path.stat().st_size > LARGEST:
        sys.exit(f"{path.name} has {path.stat().st_size} bytes; {LARGEST} are allowed.")
    print(path.relative_to(ROOT), path.stat().st_size)


def take(browser: Browser, account: DevAccount) -> None:
    """Every picture, one after the other."""
    address = os.environ["INTAKE_BASE_URL"]
    desk = opened_page(browser, DESK_SIZE)
    sign_in(desk, address, account)
    for name, step in DESK.items():
        step(desk, address)
        keep(desk, name)
    for name, (size, dark, step) in PUBLIC.items():
        page = opened_page(browser, size, dark=dark, language=name[-2:] if name.endswith("es") else "en")
        step(page, address)
        keep(page, name)
        page.context.close()


def main() -> None:
    """Take them all; those of an earlier run that no longer have a name here go."""
    program = chromium() or sys.exit(MISSING)
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.png"):
        old.unlink()
    with tempfile.TemporaryDirectory() as folder:
        prepare(folder)
        with service() as account, sync_playwright() as playwright:
            take(
                playwright.chromium.launch(executable_path=program, args=[*FLAGS, "--disable-lcd-text"]),
                account,
            )


if __name__ == "__main__":
    main()
