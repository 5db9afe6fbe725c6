"""From folders of scans to a store: discovery, checks, resampling, intensity rules, report."""
