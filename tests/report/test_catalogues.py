"""Published numbers carry sources; BLiMP's paradigms are complete."""

from pipeline.report.catalogues import phenomenon_of_paradigm, published


def test_the_papers_claims_are_there_as_printed() -> None:
    claims = {model.name: model for model in published().models}
    assert claims["SLlama (paper)"].scores == {"blimp": "91.94"}
    assert claims["untied embeddings (paper)"].scores == {"blimp": "91.9"}
    assert claims["tied embeddings (paper)"].scores == {"blimp": "56.0"}
    assert claims["LTG-BERT (2024 baseline)"].parameters is None


def test_every_published_number_has_a_source() -> None:
    assert len(published().models) == 9
    for model in published().models:
        assert any(character.isdigit() for character in model.source), model.name


def test_only_tasks_with_the_published_items_are_compared() -> None:
    tasks = {task for tasks in published().comparable_tasks.values() for task in tasks}
    assert tasks == {"blimp_filtered", "blimp_stock", "supplement_filtered"}


def test_blimp_has_67_paradigms_in_13_phenomena() -> None:
    phenomena = phenomenon_of_paradigm()
    assert len(phenomena) == 67
    assert len(set(phenomena.values())) == 13
    assert phenomena["wh_island"] == "island_effects"
