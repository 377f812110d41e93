"""The arithmetic that detectors share, as functions of arrays; the tests compare it with scipy's."""
