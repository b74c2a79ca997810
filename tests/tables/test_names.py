"""Keys and the names that people write."""

from studylib.tables.names import Label
from studylib.tables.ranking_findings import BestModel
from studylib.text import words


def test_a_key_is_written_as_a_name_in_a_sentence_and_stays_a_key():
    best = BestModel("ml-1m", "gru4rec", 0.2, 0.1, 0.3, better_than=1, others=1)
    assert words("**{b.model}** on {b.dataset}", b=best) == "<strong>GRU4Rec</strong> on MovieLens-1M"
    assert {best.model: 1}["gru4rec"] == 1 and best == BestModel("ml-1m", Label("gru4rec"), 0.2, 0.1, 0.3, 1, 1)
    own = BestModel("shop", "<b>mine", 0.2, 0.1, 0.3, 1, 1)
    assert words("{b.model}", b=own) == "&lt;b&gt;mine"
