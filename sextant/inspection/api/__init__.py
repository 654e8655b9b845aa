"""The API of Amazon Lookout for Vision, 2020-11-20: its 22 operations over a DynamoDB table, S3 and SageMaker.

The service model below `model/` is the contract: `wire` reads requests and writes answers by it, so what boto3 sends is
what an operation gets, and what an operation returns is what boto3 shows.
"""
