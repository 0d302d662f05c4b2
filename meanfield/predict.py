"""The command ``python -m meanfield.predict``.

In Python the prediction is a function of the package: ``from meanfield import predict``.
"""

if __name__ != "__main__":  # imported, this module would take the place of meanfield's function
    raise ImportError(
        "meanfield.predict is a command; import it with: from meanfield import predict"
    )

import sys

from meanfield.cli import main

sys.exit(main())
