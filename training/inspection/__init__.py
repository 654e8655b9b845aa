"""Training and serving a detector as SageMaker starts them.

Fitting is many small products: with OpenBLAS on several threads that is slower, and far slower where cores are shared.
It reads the variable when numpy is first imported.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
