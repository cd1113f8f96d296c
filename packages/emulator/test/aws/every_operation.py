"""Calls every operation that the emulator serves, by boto3 or by the AWS CLI, and prints the replies.

Every reply is read by the client's own model of the service.

Usage: every_operation.py boto3|cli <endpoint>
"""

import contextlib
import io
import json
import sys

REGION = "us-east-1"
ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/"


def boto3_caller(endpoint):
    import boto3
    from botocore import xform_name
    from botocore.config import Config

    # What the emulator says first is what counts.
    config = Config(retries={"total_max_attempts": 1})
    client = boto3.client("kinesis", endpoint_url=endpoint, region_name=REGION, config=config)

    def call(operation, **parameters):
        reply = getattr(client, xform_name(operation))(**parameters)
        del reply["ResponseMetadata"]
        return reply

    return call


def cli_caller(endpoint):
    from awscli.clidriver import create_clidriver
    from botocore import xform_name

    driver = create_clidriver()

    def call(operation, **parameters):
        command = xform_name(operation, "-")
        output = io.StringIO()
        output.buffer = io.BytesIO()
        with contextlib.redirect_stdout(output):
            status = driver.main(
                ["--endpoint-url", endpoint, "--region", REGION, "--output", "json", "kinesis"]
                + [command, "--cli-input-json", json.dumps(parameters)]
            )
        text = output.getvalue()
        if status != 0:
            raise RuntimeError(f"aws kinesis {command} ended with {status}: {text}")
        return json.loads(text) if text else {}

    return call


def main(tool, endpoint):
    call = {"boto3": boto3_caller, "cli": cli_caller}[tool](endpoint)
    replies = {}

    def run(operation, **parameters):
        replies[operation] = call(operation, **parameters)
        return replies[operation]

    name = f"by-{tool}"
    stream = {"StreamName": name}
    resource = {"ResourceARN": ARN + name}
    by_arn = {"StreamARN": ARN + name}
    key = {"EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"}
    first = "shardId-000000000000"

    run("UpdateAccountSettings", MinimumThroughputBillingCommitment={"Status": "ENABLED"})
    run("DescribeAccountSettings")
    run("DescribeLimits")
    run("CreateStream", **stream, ShardCount=2, Tags={"team": "a"}, MaxRecordSizeInKiB=2048)
    run("PutRecord", **stream, PartitionKey="k", Data="one pizza", ExplicitHashKey="0")
    run("PutRecords", **stream, Records=[{"Data": "two", "PartitionKey": "k", "ExplicitHashKey": "0"}])
    iterator = run("GetShardIterator", **stream, ShardId=first, ShardIteratorType="TRIM_HORIZON")
    run("GetRecords", **iterator)
    arrival = replies["GetRecords"]["Records"][0]["ApproximateArrivalTimestamp"]
    run(
        "GetShardIterator",
        **stream,
        ShardId=first,
        ShardIteratorType="AT_TIMESTAMP",
        Timestamp=arrival if tool == "cli" else arrival.timestamp(),
    )
    run("AddTagsToStream", **stream, Tags={"cost": "1"})
    run("TagResource", **resource, Tags={"stage": "test"})
    run("RemoveTagsFromStream", **stream, TagKeys=["cost"])
    run("UntagResource", **resource, TagKeys=["stage"])
    run("ListTagsForStream", **stream)
    run("ListTagsForResource", **resource)
    run("PutResourcePolicy", **resource, Policy='{"Version":"2012-10-17","Statement":[]}')
    run("GetResourcePolicy", **resource)
    run("DeleteResourcePolicy", **resource)
    run("StartStreamEncryption", **stream, **key)
    run("DescribeStreamSummary", **stream)
    run("StopStreamEncryption", **stream, **key)
    run("EnableEnhancedMonitoring", **stream, ShardLevelMetrics=["ALL"])
    run("DisableEnhancedMonitoring", **stream, ShardLevelMetrics=["IncomingBytes"])
    run("IncreaseStreamRetentionPeriod", **stream, RetentionPeriodHours=48)
    run("DecreaseStreamRetentionPeriod", **stream, RetentionPeriodHours=24)
    run("UpdateMaxRecordSize", **by_arn, MaxRecordSizeInKiB=1024)
    run("SplitShard", **stream, ShardToSplit=first, NewStartingHashKey="7")
    second, third = "shardId-000000000002", "shardId-000000000003"
    run("MergeShards", **stream, ShardToMerge=second, AdjacentShardToMerge=third)
    run("UpdateShardCount", **stream, TargetShardCount=4, ScalingType="UNIFORM_SCALING")
    run("ListShards", **stream, ShardFilter={"Type": "AT_LATEST"})
    run("DescribeStream", **stream)
    run("UpdateStreamMode", **by_arn, StreamModeDetails={"StreamMode": "ON_DEMAND"})
    run("UpdateStreamWarmThroughput", **stream, WarmThroughputMiBps=5)
    if tool != "cli":  # This version of the AWS CLI does not know it.
        run("UpdateStreamRecordDistributionStrategy", **by_arn, RecordDistributionStrategy="AUTO")
    run("ListStreams")
    run("DeleteStream", **stream, EnforceConsumerDeletion=True)
    print(json.dumps(replies, default=lambda value: value.decode() if isinstance(value, bytes) else str(value)))


main(*sys.argv[1:])
