"""The chain: what turns audio into rows, codes and scores, step by step."""
