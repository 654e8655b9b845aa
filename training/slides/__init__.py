"""Training and serving as SageMaker starts them.

Heads multiply tall matrices by a few columns: with OpenBLAS on several threads that is slower even on an idle machine,
and a hundred times slower where cores are shared. It reads the variable when numpy is first imported.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
