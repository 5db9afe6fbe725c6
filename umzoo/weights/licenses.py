"""Licenses by the names that the Hugging Face Hub has for them (https://huggingface.co/docs/hub/repositories-licenses)."""

from __future__ import annotations

import re

_KNOWN = """
afl-3.0 agpl-3.0 apache-2.0 artistic-2.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda cc cc0-1.0
cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0
cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-permissive-1.0
cdla-permissive-2.0 cdla-sharing-1.0 ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 gfdl gpl gpl-2.0 gpl-3.0
isc lgpl lgpl-2.1 lgpl-3.0 lppl-1.3c mit mpl-2.0 ms-pl ncsa odbl odc-by ofl-1.1 openrail openrail++ osl-3.0 pddl
postgresql unknown unlicense wtfpl zlib
"""
HUB_LICENSES = frozenset(_KNOWN.split())
"""What the Hub takes as ``license``; any other is written as ``other`` with its name."""
_SPDX = {"odbl-1.0": "odbl", "odc-by-1.0": "odc-by", "pddl-1.0": "pddl", "gfdl-1.3": "gfdl"}


def hub_license(license: str) -> str:
    """Return the Hub's name for the SPDX identifier *license*; ``other`` if it has none."""
    name = re.sub(r"-(only|or-later)$", "", license.strip().lower()) or "unknown"
    name = _SPDX.get(name, name)
    return name if name in HUB_LICENSES else "other"
