"""Manifests, splits and which rows are learnt from: what comes before any learning."""
