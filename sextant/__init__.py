"""The logic that Lambda, Glue, SageMaker and the laptop share. One sub-package per system; none imports another."""
