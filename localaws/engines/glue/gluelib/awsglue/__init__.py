"""What a job script asks of `awsglue` besides DynamicFrames: its arguments, a Spark session and the job's commit.

Written from the documented behaviour; Amazon's own package is under a licence that forbids copying.
"""
