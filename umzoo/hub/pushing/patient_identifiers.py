"""Patterns of texts that could identify a patient, a clinic's machine or its staff.

DICOM identifiers are those of PS3.15 Annex E (attributes to be removed) that could appear in a text; personal numbers
are those of public registers and insurances in the countries named.
"""

from __future__ import annotations

import re

_DATE = r"(?:\d{1,2}[./-]\s?\d{1,2}[./-]\s?(?:19|20)?\d\d|(?:19|20)\d\d-?(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12]\d|3[01]))"
_MONTH = r"(?:jan|feb|m[aä]r|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz])[a-zä]*\.?"
_NUMBERED = (
    r"patient\w*|pat|fall|case|admission|encounter|accession|acc|auftrags?|akten?|record|chart|hospital|clinic|insurance|"
    r"versicherten?|versicherungs?|kv|policy|nhs|ssn|mrn|pid|cpr|bsn|nir|visit|aufnahme|study|untersuchungs?|order"
)
_ANY_CASE: dict[str, tuple[str, ...]] = {
    "a local path": (
        r"(?<![\w:/.<\]*~-])/(?:[\w.+@-]+/)+[\w.+@-]+",
        r"(?<![\w:/.<\]*~-])/(?:home|users|mnt|media|scratch|srv|pacs|nas|export|volumes?|data\d+)\b",
        r"(?<![\w~])~\w*/[\w.+@-]+",
        r"(?<!\w)[a-z]:\\[\w.+@-]+",
        r"(?<![\w/])[a-z]:/(?!/)[\w.+@-]+",
        r"\\\\[\w.$-]+\\[\w.$-]+",
        r"(?:file|smb|nfs|afp|s?ftp|dicom)://?[^\s\"')|]+",
    ),
    "a DICOM UID": (r"(?<![\w.])(?!1\.2\.840\.10008\.)[0-2](?:\.(?:0|[1-9]\d*)){5,}(?!\+|\.?\w)",),
    "a DICOM attribute": (
        r"\bpatient'?s?[ _]?(?:name|ids?|birth[ _]?(?:date|time)|address|telephone\w*)['\"]?\s*(?:[:=|]|\bist?\b)",
        r"\b(?:study|series|sop)[ _]?instance[ _]?uid\b['\"]?\s*[:=|]",
        r"\b(?:accession[ _]?number|institution[ _]?(?:name|address)|medical[ _]?record\w*)['\"]?\s*[:=|]",
        r"\b(?:referring|performing|reading|attending)[ _]?physician\w*['\"]?\s*[:=|]",
        r"\((?:0008|0010|0020|0040),\s?[0-9a-f]{4}\)",
    ),
    "a person's name": (r"\b[^\W\d][\w'-]+\^[^\W\d][\w'^. -]*",),
    "a subject": (
        r"(?<![a-z0-9])(?:sub|ses)-(?!\d+(?:\.\d+)?[mc]m(?![a-z0-9]))(?=[a-z]*\d)[a-z0-9]+",
        r"(?<![a-z])(?:patient|pat|subject|subj|case|proband|volunteer)[ _-]?(?:id|no|nr)?[ _:#=-]{0,2}[a-z]{0,3}\d{2,}"
        r"(?![a-z0-9])",
        r"(?<![a-z])(?:patient|proband)(?:en|in)?[ _-]?(?:id|no|nr|nummer|number)?[. ]{0,2}[:#=]\s?[a-z]{0,3}-?\d+",
    ),
    "the number of a subject": (r"(?<![\w.-])[ps]0\d{2,}(?![\w.])",),
    "the file of a scan": (r"\b(?=[\w-]*\d)[\w-]+\.(?:nii(?:\.gz)?|dcm|mha|mhd|nrrd|mgz|b2nd)\b",),
    "a record number or date": (
        r"\b(?:MRN|PID|DOB)[ _:#=-]{0,2}[a-z]{0,3}\d[\d./-]{3,}",
        rf"\b(?:{_NUMBERED})[ .-]{{0,2}}(?:nummer|number|num|nr|no|id|#)\b[ .:#=]{{0,3}}"
        r"[a-z]{0,4}[ /-]?\d[\d ./-]{2,}\d",
        rf"\b(?:{_NUMBERED})\s?[:#=]\s?[a-z]{{0,4}}[ /-]?\d[\d./-]{{2,}}\d",
    ),
    "a date of birth or of an examination": (
        rf"(?:\bgeb(?:oren|\.)?|\bborn|\bdob|\bbirth\w*|\bgeburtsdatum|\bn[ée]e?\s+le|\bnacid[oa]|\bnat[oa]\s+il)\W{{0,3}}"
        rf"(?:on |am |in )?(?:{_DATE}|\d{{1,2}}\.? {_MONTH} \d{{4}}|{_MONTH} \d{{1,2}},? \d{{4}})",
        rf"\*\s?{_DATE}(?!\w)",
        rf"\b(?:examined|scanned|acquired|admitted|discharged|operated|untersucht|aufgenommen|operiert|visit|untersuchung|admission|"
        rf"discharge|surgery|aufnahme|entlassung|studydate|exam|scan)\b[^.;\n]{{0,20}}?(?<![\w.]){_DATE}(?![\w.]*\w)",
        r"(?<![\d.a-z])(?:19\d\d)(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!\d)",
        r"\b\d{1,3}[- ]?(?:jährige[rn]?|year[- ]old|yo|y/o)\b[^.;\n]{0,60}\b(?:from|in|aus|on|am|at)\b[^.;\n]{0,10}\d",
    ),
    "an address for mail": (r"(?<![\w./+-])[\w.+-]+@(?:[\w-]+\.)+[a-z]{2,}\b",),
    "a user or host": (
        r"(?<![\w./+-])[a-z][\w.-]*@(?!v?\d)[\w-]*(?:\d|pacs|node|server|host|station|login|cluster|klinik|hospital)[\w.-]*",
        r"(?<![\w./-])(?:pacs|ris|kis|node|gpu|srv|server|ws|pc|login|dgx|hpc|workstation|radiology|radiologie)[\w-]*\."
        r"(?:[\w-]+\.)+[a-z]{2,}\b",
        r"(?<![\w./-])[a-z][\w-]*(?:\.[\w-]+)*\.(?:local|localdomain|intra|intranet|intern|internal|lan|corp|klinik)\b",
        r"\b(?:hostname|username)s?\s+\w*\d\w*",
        r"\b(?:host|hostname|username|user|login|account|ae[ _]title|aet|station[ _]name)\s*[:=]\s*\w{2,}",
        r"(?<![\w.])(?:10(?:\.\d{1,3}){3}|192\.168(?:\.\d{1,3}){2}|172\.(?:1[6-9]|2\d|3[01])(?:\.\d{1,3}){2})(?![\w.]*\d)",
        r"(?<![\w:])(?:[0-9a-f]{2}:){5}[0-9a-f]{2}(?![\w:])",
    ),
    "a telephone number": (
        r"(?<![\w.+])\+\d{1,3}[ (/-]+\(?\d[\d ()/-]{6,}\d",
        r"\b(?:tel|telefon|phone|fon|fax|mobil|mobile|call|pager)\b[.: ]{0,3}[+(]?\d[\d ()/-]{4,}\d",
    ),
    "a number of a person": (
        r"(?<![\w.-])756\.\d{4}\.\d{4}\.\d{2}(?!\w)",
        r"(?<![\w.-])\d{3}\.\d{3}\.\d{3}-\d{2}(?!\w)",
        r"(?<![\w.-])\d{3}-\d{2}-\d{4}(?![\w-])",
        r"(?<![\w.-])(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])\d{2}[-+A]\d{3}[\dA-Z](?![\w-])",
        r"(?<![\w.-])(?:19|20)?\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])[-+]\d{4}(?![\w-])",
        r"(?<![\w.-])[12] ?\d{2} ?(?:0[1-9]|1[0-2]) ?\d[\dAB] ?\d{3} ?\d{3}(?: ?\d{2})(?![\w-])",
        r"(?<![\w.-])\d{17}[\dX](?!\w)",
        r"(?<![\w.-])\d{2} ?(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])\d{2} ?[A-Z] ?\d{3}(?!\w)",
    ),
}
_AS_WRITTEN: dict[str, tuple[str, ...]] = {
    "a number of a person": (
        r"(?<![\w.-])[A-Z] ?\d{3} ?\d{3} ?\d{3}(?!\w)",
        r"(?<![\w.-])[A-Z]{6}\d{2}[A-Z]\d{2}[A-Z]\d{3}[A-Z](?!\w)",
        r"(?<![\w.-])\d{8}-?[A-HJ-NP-TV-Z](?!\w)",
    ),
    "a person's name": (
        r"\b(?:Herrn?|Frau|Hr|Mrs?|Ms|Mme|Sra?|Señora?|Signora?)\.? (?:Dr\. )?[A-ZÄÖÜŞÇÉ][^\W\d_]+",
        r"\b(?:[Pp]atient(?:in|en)?|[Pp]roband(?:in)?|[Vv]olunteer):? (?:(?:[A-Z]\. ?){2,}|[A-Z]\. [A-ZÄÖÜ][^\W\d_]+)",
        r"\b[A-ZÄÖÜ][^\W\d_]+[_ ,]+[A-ZÄÖÜ][^\W\d_]+[_ ,(*]+(?:19|20)\d\d[01]\d[0-3]\d(?!\d)",
    ),
    "an address": (
        r"\b[A-ZÄÖÜ][\w-]*(?:straße|strasse|str\.|weg|gasse|platz|allee|ring) \d{1,4}\b",
        r"\b\d{1,5} [A-Z][\w.]+ (?:Street|St\.|Road|Rd\.|Avenue|Ave\.|Lane|Drive|Boulevard)(?!\w)",
        r"\b\d{1,4},? (?:rue|avenue|boulevard|via|calle) [A-ZÀ-Ü]?\w+",
    ),
}
PATTERNS = {
    what: [re.compile(part, re.IGNORECASE) for part in _ANY_CASE.get(what, ())]
    + [re.compile(part) for part in _AS_WRITTEN.get(what, ())]
    for what in (*_ANY_CASE, *(_AS_WRITTEN.keys() - _ANY_CASE.keys()))
}
"""The patterns that every text is searched for."""
