"""Settings that must hold before any test module is imported."""

import os

# scikit-learn skips its array API check unless this is set before SciPy is imported.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
