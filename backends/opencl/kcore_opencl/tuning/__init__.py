"""The tuner: generators offer several ways to cut a product, a device is asked which is fastest, the answer is kept.

Nothing is tuned in mid-run. A generator asks `chosen` and gets the measured way for this device, driver and version of
kcore where there is one, its own default where not. What was chosen can be read (`choices`), kept with a run and used
again (`use`): another way adds the same numbers in another order. `kcore_opencl.tuning.tuner` measures.
"""

from __future__ import annotations

from kcore.kernels.choosing import choices, chosen, key_of, use

__all__ = ["choices", "chosen", "key_of", "use"]
