"""The SageMaker engine; see `engine.SageMaker`."""
