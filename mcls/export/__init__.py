"""Export of nets to ONNX and torch.export: graphs from rows or from audio to scores."""
