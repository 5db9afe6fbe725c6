"""Licenses of weights: their names here and on the Hub, and their conditions for redistribution.

Names are SPDX identifiers (https://spdx.org/licenses) or names of the Hugging Face Hub
(https://huggingface.co/docs/hub/repositories-licenses). The conditions are derived from the license names and are not
legal advice.
"""

from __future__ import annotations

import logging
import re
from functools import cache
from typing import TYPE_CHECKING, Literal

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from umzoo.errors import WeightsError, nearest

if TYPE_CHECKING:
    from umzoo.weights.folder.info import WeightsInfo

log = logging.getLogger(__name__)

LicenseClass = Literal["commercial", "share-alike", "non-commercial", "no-derivatives", "unknown"]
CLASSES: tuple[LicenseClass, ...] = ("no-derivatives", "non-commercial", "share-alike", "commercial", "unknown")
"""License classes, from the strictest to the most permissive; a license belongs to the first that applies."""
_FREE = """
0bsd afl-3.0 apache-2.0 artistic-2.0 bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 cc0-1.0 cc-by
cdla-permissive-1.0 cdla-permissive-2.0 ecl-2.0 etalab-2.0 isc mit mit-0 ms-pl ncsa odc-by pddl postgresql unlicense
wtfpl zlib
"""
_SHARE_ALIKE = """
agpl-3.0 cc-by-sa cdla-sharing-1.0 epl-1.0 epl-2.0 eupl-1.1 eupl-1.2 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0
lppl-1.3c mpl-2.0 odbl ofl-1.1 osl-3.0
"""
_TERMS: dict[str, frozenset[str]] = {
    **dict.fromkeys(_FREE.split(), frozenset()),
    **dict.fromkeys(_SHARE_ALIKE.split(), frozenset({"share-alike"})),
    "cc-by-nc": frozenset({"non-commercial"}),
    "cc-by-nc-sa": frozenset({"non-commercial", "share-alike"}),
    "cc-by-nd": frozenset({"no-derivatives"}),
    "cc-by-nc-nd": frozenset({"non-commercial", "no-derivatives"}),
    "https://github.com/mrgiovanni/modelsgenesis/blob/master/license": frozenset({"non-commercial"}),
}
"""Restrictions by license. Creative Commons names have no version; ``other`` is identified by the link to its text."""
_ASKS = {
    "no-derivatives": "weights trained from them must not be redistributed",
    "non-commercial": "no commercial use",
    "share-alike": "weights trained from them must keep this license",
}

_OTHERS = """
c-uda cc cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0
cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 openrail openrail++
unknown
"""
_NOT_ON_THE_HUB = frozenset({"0bsd", "mit-0", "cc-by", "cc-by-sa"})
HUB_LICENSES = frozenset(f"{_FREE} {_SHARE_ALIKE} {_OTHERS}".split()) - _NOT_ON_THE_HUB
"""Licenses that the Hub accepts as ``license``; any other is written as ``other`` with its name."""
_SPDX = {"odbl-1.0": "odbl", "odc-by-1.0": "odc-by", "pddl-1.0": "pddl", "gfdl-1.3": "gfdl"}


def hub_license(license: str) -> str:
    """Return the Hub's name for the SPDX identifier *license*; ``other`` if the Hub has none."""
    name = _plain(license)
    return name if name in HUB_LICENSES else "other"


def license_class(license: str, link: str = "") -> LicenseClass:
    """Return the class of *license*; ``commercial`` if it has no restriction.

    *link* points to the text of a license named ``other``.
    """
    found = _terms(license, link)
    if found is None:
        return "unknown"
    return next((name for name in CLASSES if name in found), "commercial")


def allows_commerce(license: str, link: str = "") -> bool:
    """Whether *license* is known and allows commercial use."""
    found = _terms(license, link)
    return found is not None and "non-commercial" not in found


def allows_sharing(license: str, link: str = "") -> bool:
    """Whether *license* is known and allows redistribution of weights that are trained from the licensed ones."""
    found = _terms(license, link)
    return found is not None and "no-derivatives" not in found


def asks_more(license: str, link: str, other: str, other_link: str) -> bool:
    """Whether *license* is known to have more restrictions than *other*."""
    return len(_terms(license, link) or ()) > len(_terms(other, other_link) or ())


def require_license(license: str, link: str = "") -> None:
    """Require a valid license.

    Raises:
        WeightsError: unless *license* is an SPDX identifier or expression, a license name of the Hub, ``unknown``, or
            ``other`` with a *link* to its text.
    """
    if license == "other" and not link.startswith(("https://", "http://")):
        given = f", got '{link}'" if link else ""
        raise WeightsError(f"license 'other' requires a link to its text{given}: add --license-link https://...")
    if license == "other" or _plain(license) in HUB_LICENSES:
        return
    try:
        canonicalize_license_expression(license)
    except InvalidLicenseExpression:
        hint = nearest(license.lower(), HUB_LICENSES)
        raise WeightsError(
            f"'{license}' is not a known license{hint}: use an SPDX identifier such as cc-by-4.0, or 'other' with a"
            " link to its text"
        ) from None


def require_allowed(info: WeightsInfo) -> None:
    """Require a valid license that is compatible with the license of the base model.

    A license named ``other`` may get its link later.

    Raises:
        WeightsError: if the license is invalid or not compatible.
    """
    if info.license != "other":
        require_license(info.license, info.license_link)
    if (base := info.base_model) is not None:
        require_inherited(info.license, info.license_link, base.license, base.license_link, base.name)


def require_inherited(license: str, link: str, base: str, base_link: str, name: str) -> None:
    """Require that *license* is compatible with *base*, the license of the base model *name*.

    Raises:
        WeightsError: if *base* has a restriction that *license* drops.
    """
    asked, given = _terms(base, base_link) or frozenset(), _terms(license, link)
    if not asked or _plain(license) == _plain(base):
        return
    lost = sorted(asked - (given or frozenset()))
    if "share-alike" in asked or "no-derivatives" in asked:
        lost = lost or sorted(asked)
    if lost:
        raise WeightsError(
            f"license {license} is not allowed: the base model {name or '(no name)'} has license {base}"
            f" ({', '.join(sorted(asked))}); omit the license, or use {base}"
        )


def require_shareable(info: WeightsInfo) -> None:
    """Require that the license of the base model allows redistribution of *info*'s weights.

    Raises:
        WeightsError: if the license is invalid, is not compatible with the base model's, or that one allows no
            derivatives.
    """
    require_license(info.license, info.license_link)
    require_allowed(info)
    base = info.base_model
    if base is not None and "no-derivatives" in (_terms(base.license, base.license_link) or ()):
        raise WeightsError(
            f"{info.name} cannot be redistributed: license {base.license} of its base model"
            f" {base.name or '(no name)'} does not allow it; use {info.name} only locally, or ask the authors"
        )


@cache
def say_terms(name: str, license: str, link: str = "") -> None:
    """Log the restrictions of the license of the weights *name*, once; without restrictions, nothing is logged."""
    if found := _terms(license, link):
        asks = "; ".join(_ASKS[term] for term in CLASSES if term in found)
        log.warning("%s: license %s, %s", name, " ".join(filter(None, (license, link))), asks)


def _terms(license: str, link: str = "") -> frozenset[str] | None:
    """Restrictions of *license*; None if unknown. Of alternatives (``OR``), the least restrictive counts."""
    found = [_joint(part, link) for part in re.split(r"\s+or\s+", license.strip().strip("()").lower())]
    known = [terms for terms in found if terms is not None]
    return min(known, key=len) if known else None


def _joint(license: str, link: str) -> frozenset[str] | None:
    """Combined restrictions of licenses joined by ``AND``."""
    found = [_TERMS.get(_family(part, link)) for part in re.split(r"\s+and\s+", license)]
    return None if None in found else frozenset().union(*(terms for terms in found if terms is not None))


def _family(license: str, link: str) -> str:
    """The key of *license* in ``_TERMS``."""
    if license == "other":
        return link.lower().rstrip("/")
    name = _plain(license)
    return re.sub(r"^(cc-by(?:-nc|-sa|-nd)*)-\d.*", r"\1", name)


def _plain(license: str) -> str:
    """*license* in lower case as the Hub names it, without the suffixes ``-only`` and ``-or-later``."""
    name = re.sub(r"-(only|or-later)$", "", license.strip().lower()) or "unknown"
    return _SPDX.get(name, name)
