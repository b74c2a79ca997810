"""What a run says before it begins; the runs themselves are in `tests/end_to_end/`."""

from studylib.params.files import study_params
from studylib.runner import what_to_train


def test_the_steps_of_an_ablation_are_trainings_too(tmp_path):
    ranking = {"models": ["popularity", "markov"], "seeds": [0, 1]}
    assert what_to_train(study_params({"ranking": ranking}), "03", tmp_path).startswith("4 trainings of the ranking")
    steps = [{"label": "one"}, {"label": "two", "hidden": 8}, {"label": "three", "hidden": 9}]
    ranking["ablation"] = {"datasets": ["synthetic"], "steps": steps}
    assert what_to_train(study_params({"ranking": ranking}), "03", tmp_path).startswith("7 trainings of the ranking")
