"""The page below a path of another site: behind a real proxy, in a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.support.reverse_proxy import Proxy, behind_proxy
from tests.support.viewer_page import grey
from tests.support.visitors import BASE_PATH, assert_calm, serve
from xray_classifier.inference.pipeline import classify
from xray_classifier.inference.verdict import percent
from xray_classifier.models.loading import load_classifier

pytestmark = [pytest.mark.browser, pytest.mark.data]

PREFIX = "/clinic/xray"
FIRST_VERDICT_MS = 300_000  # a busy machine is slow, not wrong


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("server")
    with serve(folder, environment={BASE_PATH: PREFIX}) as server:
        with behind_proxy(server.port, PREFIX) as proxy:
            yield proxy
        assert_calm(server.log)


@pytest.fixture
def page(tab: Page, proxy: Proxy) -> Page:
    tab.goto(f"{proxy.address}{PREFIX}/")
    expect(tab.get_by_text("Drop one frontal chest X-ray")).to_be_visible(timeout=60_000)
    return tab


def test_radiograph_is_judged_shown_and_taken_away(
    page: Page, proxy: Proxy, original: Path
) -> None:
    result = classify(original.read_bytes(), load_classifier())
    assert result.probability is not None
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(original)
    line = page.get_by_text(f"Probability of pneumonia {percent(result.probability)}")
    expect(line).to_be_visible(timeout=FIRST_VERDICT_MS)
    expect(page.locator("output.zoom")).to_have_text(re.compile(r"Zoom \d"))
    assert len(np.unique(grey(page))) > 100
    page.get_by_text("Take it away").click()
    with page.expect_download(timeout=FIRST_VERDICT_MS) as waiting:
        page.get_by_role("button", name="JSON", exact=True).click()
    values = json.loads(Path(waiting.value.path()).read_bytes())
    assert values["verdict"] == result.verdict
    assert proxy.upgraded == 1
    assert proxy.passed > 10
    assert proxy.refused == []


def test_pages_lead_to_each_other_below_the_prefix(page: Page, proxy: Proxy) -> None:
    page.get_by_role("link", name=re.compile("model", re.IGNORECASE)).first.click()
    page.wait_for_url(re.compile(rf"{re.escape(proxy.address + PREFIX)}/\w+"))
    expect(page.get_by_test_id("stException")).to_have_count(0)
    address = page.url
    page.reload()
    expect(page.get_by_test_id("stApp")).to_be_visible()
    assert page.url == address
    assert proxy.refused == []


def test_other_paths_of_the_site_are_not_the_page_s(page: Page, proxy: Proxy) -> None:
    answer = page.goto(f"{proxy.address}/_stcore/health")
    assert answer is not None
    assert (answer.status, answer.text()) == (404, "elsewhere")
    proxy.refused.clear()
