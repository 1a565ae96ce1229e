"""Provenance: what the page was made from, by which versions, and the commands that make its figures."""

from importlib.metadata import version

from hardloom.flows.report.section import Section
from hardloom.flows.report.subject import Subject
from hardloom.gen.build.folder import MANIFEST
from hardloom.golden.files import sha256
from hardloom.golden.shape import ExpertsShape

__all__ = ["provenance"]

PACKAGES = ("hardloom", "amaranth", "jinja2", "numpy", "torch")
"""Whose versions have a part in the figures."""


def provenance(subject: Subject, command: str, sections: list[Section]) -> Section:
    """The section. command: that makes the page; sections: the others."""
    build, model = subject.build, subject.model
    facts = [
        (
            "model",
            f"{model.family}, {model.parameters:,} parameters, {len(model.layers)} layers of {model.hidden_size}",
        ),
        ("experts", experts_in_words(subject)),
        ("vocabulary", f"{model.vocab_size:,} tokens"),
    ]
    hashes = [(file.name, sha256(file)) for file in subject.files()]
    if build is not None:
        manifest = build.manifest
        formats = ", ".join(f"{kind} {name}" for kind, name in manifest.quantization.items())
        facts += [
            ("weights", f"{manifest.weights_hardwired:,} hardwired, {formats}"),
            ("chip", manifest.top or "chosen arrays alone"),
            ("written by", f"hardloom {manifest.tool_version}, in {len(manifest.files):,} files"),
            ("manifest", "as it was written" if build.sealed else "changed since it was written: prove the build anew"),
        ]
        hashes.append((MANIFEST, sha256(build.path / MANIFEST)))
    held = {
        "facts": facts,
        "hashes": hashes,
        "hardware": {} if build is None else build.hardware.to_json_dict(),
        "versions": [(name, version(name)) for name in PACKAGES],
        "made_by": [("this page", command)] + [(one.title, line) for one in sections for line in one.commands],
    }
    return Section("provenance", "Provenance", held=held)


def experts_in_words(subject: Subject) -> str:
    """How many a layer has; layers that differ are told once each."""
    kinds = {layer.mlp for layer in subject.model.layers}
    found = [f"{mlp.num_experts}, {mlp.top_k} a token" for mlp in kinds if isinstance(mlp, ExpertsShape)]
    return "; ".join(sorted(found)) or "none"
