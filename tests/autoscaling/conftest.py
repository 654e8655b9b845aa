from tests.sagemaker.conftest import aws, home, sagemaker

__all__ = ["aws", "home", "sagemaker"]
