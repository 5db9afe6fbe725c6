"""From a file to a volume: formats, DICOM, axes, modality, and why a scan is refused."""
