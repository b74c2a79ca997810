"""Sparse matrices of counts and similarities, as a model file has them."""

from __future__ import annotations

import numpy as np
from scipy import sparse


def checked_csr(data: np.ndarray, indices: np.ndarray, indptr: np.ndarray, n_columns: int) -> sparse.csr_array:
    """The matrix of the three arrays of a CSR matrix, which may come from a stranger: scipy reads what lies beside an array
    that an index points out of.

    Args:
        data: numbers (n,) of at least 0; indices: int (n,), the columns, ascending in each row; indptr: int (n_rows + 1,).

    Raises:
        ValueError: they are no such matrix.
    """
    if not all(array.ndim == 1 for array in (data, indices, indptr)) or not len(indptr):
        raise ValueError("the arrays of a sparse matrix have one dimension")
    if indices.dtype.kind != "i" or indptr.dtype.kind != "i" or not (data >= 0).all():
        raise ValueError("a sparse matrix has integers as its indices and nothing negative")
    matrix = sparse.csr_array((data, indices, indptr), shape=(len(indptr) - 1, n_columns))
    matrix.check_format(full_check=True)
    if not matrix.has_canonical_format:
        raise ValueError("a row names a column twice")
    return matrix
