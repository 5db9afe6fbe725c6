"""DICOM with pydicom: which images form one volume, and reading it.

``header`` reads the elements that assign an image to a volume, with ``file_planes`` and ``multiframe`` for the images
of one file. ``series`` sorts images into stacks, ``repeated_positions`` those of one position, and ``slice_spacing``
checks the distances of slices. ``stack`` reads a volume, ``pixels`` the values of one image.
"""

from umzoo.data.reading.dicom.detection import is_dicom
from umzoo.data.reading.dicom.header import VOLUME_MODALITIES, read_headers
from umzoo.data.reading.dicom.plane import Header, Plane
from umzoo.data.reading.dicom.series import Stack, group
from umzoo.data.reading.dicom.stack import read_stack

__all__ = ["VOLUME_MODALITIES", "Header", "Plane", "Stack", "group", "is_dicom", "read_headers", "read_stack"]
