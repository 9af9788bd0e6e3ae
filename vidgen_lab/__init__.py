"""vidgen_lab: image and video generation, one paper a file, every model trained and tested.

list_models, create_model, load_model, load_pretrained and fit are all that a first program needs.
"""

import importlib
from typing import Any

__version__ = "0.1.0"
_WHERE = {
    "list_models": "vidgen_lab.zoo",
    "create_model": "vidgen_lab.zoo",
    "load_model": "vidgen_lab.zoo",
    "load_pretrained": "vidgen_lab.zoo",
    "fit": "vidgen_lab.training",
    "setup": "vidgen_lab.lab",
}
__all__ = ["__version__", *_WHERE]


def __getattr__(name: str) -> Any:
    """Imports a part only when it is asked for, so that `import vidgen_lab` is quick."""
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
