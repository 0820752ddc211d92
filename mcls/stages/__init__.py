"""The verbs: extract, encode, learn, train, cross-validate, predict, evaluate, export."""
