"""A browser as the people of the demo use it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from running_site import RunningSite

from tools import folders, system_packages

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
MILLISECONDS_TO_WAIT = 30_000
# While a page is printed the browser drops what is typed and clicked in it. A printer that is
# done at once, and remembers on the page that it was asked:
PRINTER = "window.print = () => { document.documentElement.dataset.printed = 'yes'; };"


@contextmanager
def open_browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        expect.set_options(timeout=MILLISECONDS_TO_WAIT)
        browser = playwright.chromium.launch(
            executable_path=system_packages.CHROMIUM, args=list(FLAGS)
        )
        try:
            yield browser
        finally:
            browser.close()


def log_in(browser: Browser, site: RunningSite, login: str, path: str, size: dict) -> Page:
    """Open a page of the server as somebody, in a session of its own.

    path: below /odoo. What goes wrong in the page's scripts is collected in its `errors`.
    """
    page = browser.new_context(
        viewport=size, locale="en-US", timezone_id="Asia/Shanghai"
    ).new_page()
    page.add_init_script(PRINTER)
    page.set_default_timeout(MILLISECONDS_TO_WAIT)
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.goto(f"{site.address}/web/login?redirect=/odoo/{path}")
    page.fill("input[name=login]", login)
    page.fill("input[name=password]", login)
    page.click("button[type=submit]")
    return page


def field(place: Page | Locator, name: str) -> Locator:
    """A field of a form, to read its text; an input holds its own value."""
    return place.locator(f".o_field_widget[name={name}]")


def type_in(place: Page | Locator, name: str, text: str) -> None:
    field(place, name).locator("input, textarea").first.fill(text)


def choose(place: Page | Locator, name: str, text: str, proposal: str | None = None) -> None:
    """Type into a field that looks for a record, and take the proposal."""
    type_in(place, name, text)
    field(place, name).locator(".o-autocomplete--dropdown-item", has_text=proposal or text).click()


def press(place: Page | Locator, name: str) -> None:
    """Press the one button with this label that is there."""
    place.get_by_role("button", name=name, exact=True).locator("visible=true").first.click()


def picture_folder(otherwise: Path) -> Path:
    """Where pictures go: into the documents with ENERGY_PICTURES=1."""
    if os.environ.get("ENERGY_PICTURES") == "1":
        return folders.ROOT / "docs" / "images"
    return otherwise
