"""The pages of results agree: data, pages, the page of truth, and the README's sentences."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from axonometry.experiments import load_results
from axonometry.experiments.markdown import markdown
from axonometry.papers import load_paper

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "docs/results"
DATA = sorted((RESULTS / "data").glob("*.json"))
NUMBER = re.compile(r"[−-]?\d+\.\d+")


@pytest.fixture(scope="module")
def truth() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_truth", ROOT / "docs/make_truth.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_page_of_truth_is_made_of_the_data(truth: ModuleType) -> None:
    assert (RESULTS / "README.md").read_text() == truth.page(), "run: python docs/make_truth.py"


def test_every_claim_of_the_data_is_on_it(truth: ModuleType) -> None:
    page = truth.page().replace("\\|", "|")
    assert {path.stem for path in DATA} <= {name for paper in truth.PAPERS for name in paper.data}
    for path in DATA:
        kept = json.loads(path.read_text())
        for section in kept["sections"]:
            for claim in section["claims"]:
                assert f"| {claim['words']} |" in page
                assert claim["numbers"] in page
                assert claim["settled_by"], f"what would change the verdict on: {claim['words']}"


def test_every_objection_names_claims(truth: ModuleType) -> None:
    words = [c["words"] for p in DATA for s in json.loads(p.read_text())["sections"] for c in s["claims"]]
    for objection in truth.OBJECTIONS:
        for start in objection.claims:
            assert any(claim.startswith(start) for claim in words), start


def test_what_it_links_to_is_there() -> None:
    for page in RESULTS.glob("*.md"):
        for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
            assert (RESULTS / link).exists(), f"{page.name}: {link}"


@pytest.mark.parametrize(
    "path", [path for path in DATA if path.stem != "cikm2022-learning"], ids=lambda path: path.stem
)
def test_a_page_says_what_its_data_say(path: Path) -> None:
    experiment = load_paper(json.loads(path.read_text())["experiment"])
    text = (RESULTS / f"{path.stem}.md").read_text()
    made = markdown(load_results(path, experiment), figures=path.stem)
    assert text.split("\n", 4)[-1].strip() == made.split("\n", 4)[-1].strip()


def test_numbers_of_the_readme_occur_on_it() -> None:
    section = (ROOT / "README.md").read_text().split("## Results")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| [")]
    assert len(rows) == 4
    known = set(NUMBER.findall((RESULTS / "README.md").read_text()))
    for row in rows:
        unknown = [number for number in NUMBER.findall(re.sub(r"\([^)]*\.md\)", "", row)) if number not in known]
        assert not unknown, f"the page of truth has no {', '.join(unknown)}: {row[:60]}"
