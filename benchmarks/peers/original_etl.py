"""What the original system's Glue script does, written anew: the peer of the labeling benchmark, on real PySpark.

Infer the schema of all worker responses, look up user names in Python functions, keep the first answer of each
response, split job and modality off the path, and append Parquet partitioned by hour of submission.

`python original_etl.py INPUT OUTPUT [lines]`; with `lines` a file holds one response per line instead of one in all.
"""

import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as f
from pyspark.sql.types import StringType

source, target, *lines = sys.argv[1:]
users = {f"00000000-0000-4000-8000-{n:012x}": f"worker-{n}" for n in range(40)}
emails = {name: f"{name}@example.com" for name in users.values()}
user_name = f.udf(lambda sub: users[sub], StringType())
email = f.udf(lambda name: emails[name], StringType())

spark = SparkSession.builder.appName("original").getOrCreate()
reader = spark.read.option("recursiveFileLookup", "true")
responses = reader.json(source) if lines else reader.option("multiLine", "true").json(source)
answer = f.col("answers")[0]
rows = (
    responses.withColumn("parts", f.split(f.input_file_name(), "/"))
    .withColumn("sub", answer["workerMetadata"]["identityData"]["sub"])
    .withColumn("username", user_name("sub"))
    .withColumn("email", email("username"))
    .withColumn("submitted", f.to_timestamp(answer["submissionTime"]))
    .select(
        "username",
        "email",
        answer["acceptanceTime"].alias("acceptanceTime"),
        answer["submissionTime"].alias("submissionTime"),
        answer["timeSpentInSeconds"].alias("timeSpentInSeconds"),
        answer["workerId"].alias("workerId"),
        answer["workerMetadata"]["identityData"]["identityProviderType"].alias("identityProviderType"),
        answer["workerMetadata"]["identityData"]["issuer"].alias("issuer"),
        "sub",
        f.col("parts")[5].alias("jobName"),
        f.col("parts")[4].alias("modality"),
        f.col("answers")["answerContent"].alias("answerContent"),
        f.year("submitted").alias("year"),
        f.month("submitted").alias("month"),
        f.dayofmonth("submitted").alias("date"),
        f.hour("submitted").alias("hour"),
    )
)
rows.write.mode("append").partitionBy("year", "month", "date", "hour").parquet(target)
spark.stop()
