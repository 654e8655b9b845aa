"""What AWS Glue runs. A package, so that a job finds its SQL texts beside its modules in the zip it is given."""
