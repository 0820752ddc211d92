"""Music classification from MFCC + K-means to deep nets, over one data layer and one evaluation."""

__version__ = "0.1.0"
