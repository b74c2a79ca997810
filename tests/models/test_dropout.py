"""Dropout by masks of one's own."""

import numpy as np
import pytest
import torch

from studylib.models.dropout import Dropout, Masks, drawn_from, dropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.83])
def test_masks_drop_by_their_probability_and_keep_the_mean(p):
    mask = Masks(0).draw(torch.Size([500, 401]), p).numpy()
    n = mask.size
    assert set(np.unique(mask)) == {np.float32(0), np.float32(1 / (1 - p))}
    assert abs((mask == 0).mean() - p) < 4 * (p * (1 - p) / n) ** 0.5 + 2**-16
    for neighbour in (mask[:, 1:] * mask[:, :-1], mask[1:] * mask[:-1]):  # no element tells of another
        assert abs((neighbour > 0).mean() - (1 - p) ** 2) < 5 * ((1 - p) ** 2 / n) ** 0.5


def test_the_same_seed_draws_the_same_and_never_the_same_twice():
    one, two, other = (Masks(3, part) for part in (0, 0, 1))
    shape = torch.Size([7, 9])
    first = one.draw(shape, 0.5)
    assert torch.equal(first, two.draw(shape, 0.5))
    assert not torch.equal(first, one.draw(shape, 0.5)) and not torch.equal(first, other.draw(shape, 0.5))


def test_dropout_takes_its_masks_from_where_it_is_told_to():
    x = torch.full((3, 50, 8), 2.0)
    with drawn_from(Masks(1)):
        whole = dropout(x, 0.5, whole=True)
        each = dropout(x, 0.5)
        assert dropout(x, 0.0) is x and Dropout(0.5).eval()(x) is x
        assert not torch.equal(Dropout(0.5)(x), x)
    assert set(whole.unique().tolist()) == set(each.unique().tolist()) == {0.0, 4.0}
    assert (whole == whole[..., :1]).all() and not (each == each[..., :1]).all()
    torch.manual_seed(5)
    by_torch = dropout(x, 0.5)
    torch.manual_seed(5)
    assert torch.equal(by_torch, torch.nn.functional.dropout(x, 0.5))
