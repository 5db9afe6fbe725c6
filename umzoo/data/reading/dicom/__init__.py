"""DICOM by pydicom: which images form one volume, and reading it.

``header`` reads what decides where an image belongs, with ``planes`` and ``frames`` for the images of one file.
``series`` sorts images into stacks, ``repeats`` those of one position, and ``row`` judges the distances of slices.
``stack`` reads a volume, ``pixels`` the values of one image.
"""

from umzoo.data.reading.dicom.detection import is_dicom
from umzoo.data.reading.dicom.header import VOLUME_MODALITIES, read_headers
from umzoo.data.reading.dicom.plane import Header, Plane
from umzoo.data.reading.dicom.series import Stack, group
from umzoo.data.reading.dicom.stack import read_stack

__all__ = ["VOLUME_MODALITIES", "Header", "Plane", "Stack", "group", "is_dicom", "read_headers", "read_stack"]
