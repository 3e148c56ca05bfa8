"""The arms of a Dataset whose necromass is made of amino sugars, and the CV that follows from theirs."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mcpbayes.measurement import amino_sugars as conversion
from mcpbayes.vocabulary import FROM_AMINO_SUGARS


def converted_arms(data: xr.Dataset) -> NDArray[np.bool_]:
    """Return of which arms necromass is made of amino sugars; none where the table has no such arms."""
    if "source_necromass" not in data:
        return np.zeros(data.sizes.get("arm", 0), dtype=bool)
    return np.asarray(data["source_necromass"].values.astype(str) == FROM_AMINO_SUGARS)


def necromass_cvs(data: xr.Dataset, q: float) -> NDArray[np.float64]:
    """Return the CV of necromass of each arm that follows from those of its amino sugars; NaN where it has none."""
    mean, cv = (data[name].transpose("arm", "amino_sugar").values for name in ("amino_mean", "amino_cv"))
    share = conversion.muramic_share(mean[:, 0], mean[:, 1], q)
    return conversion.necromass_cv(share, cv[:, 0], cv[:, 1], float(data.attrs["rho_amino_sugars"]))
