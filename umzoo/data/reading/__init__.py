"""Reads volumes from files: formats, DICOM, axes, modality, and reasons for refusing a scan."""
