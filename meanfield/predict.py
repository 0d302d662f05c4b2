"""The command ``python -m meanfield.predict``.

In Python the prediction is a function of the package: ``from meanfield import predict``.
"""

if __name__ != "__main__":  # an import would put this module in place of the function meanfield.predict
    raise ImportError("meanfield.predict is a command; in Python use: from meanfield import predict")

import sys

from meanfield.cli import main

sys.exit(main())
