"""What is asked of every page in a browser."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, expect

PATIENCE = 600_000
"""Milliseconds after which a browser has hung, however busy the machine is."""

expect.set_options(timeout=PATIENCE)

CONTRASTS = """selectors => selectors.map(selector => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const luminance = (colour) => channels(colour).slice(0, 3)
    .map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const element = document.querySelector(selector);
  let behind = element;
  while (channels(getComputedStyle(behind).backgroundColor)[3] === 0) behind = behind.parentElement;
  const style = getComputedStyle(element);
  const ink = luminance(element instanceof SVGElement && style.fill !== "none" ? style.fill : style.color);
  const paper = luminance(getComputedStyle(behind).backgroundColor);
  return [selector, (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05), paper];
})"""


def offline(browser, **options) -> BrowserContext:
    """Windows without a network."""
    context = browser.new_context(offline=True, **options)
    context.set_default_timeout(PATIENCE)
    return context


def open_everything(page):
    page.get_by_role("button", name="Show all code").click()
    page.locator(".provenance summary").click()
    open_tables(page)


def open_tables(page):
    """The tables of the appendix, which are drawn when they are opened."""
    folds = page.locator("details.table-fold")
    folds.evaluate_all("folds => { for (const fold of folds) fold.open = true; }")
    expect(page.locator("details.table-fold .first-rows")).to_have_count(0)


def too_wide(page, width):
    """What reaches beyond the window and does not scroll by itself."""
    beyond = page.evaluate(
        "width => [...document.querySelectorAll('main *, footer *')].filter(e => e.getBoundingClientRect().right > width + 1"
        " && !e.closest('.table-scroll, .figure-scroll, pre')).map(e => e.outerHTML.slice(0, 80))",
        width,
    )
    return beyond + ["the page"] * (page.evaluate("document.documentElement.scrollWidth") > width)


def violations(page):
    """What axe-core finds against WCAG 2.2, levels A and AA; empty where all is well."""
    levels = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
    results = Axe().run(page, options={"runOnly": {"type": "tag", "values": levels}, "resultTypes": ["violations"]})
    return results.generate_report() if results.violations_count else ""


def links_into_nowhere(page):
    """The links within the page that do not land on something that is seen; and how many links there are."""
    ids = page.locator("a[href^='#']").evaluate_all(
        "links => links.map(link => decodeURIComponent(link.hash.slice(1)))"
    )
    lost = page.evaluate("ids => ids.filter(id => !document.getElementById(id)?.getClientRects().length)", ids)
    return lost, len(ids)
