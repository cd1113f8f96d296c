import type { TargetName } from "./targets.ts";

/** Where a witness contradicts a scenario. */
export interface Divergence {
  /** Why this is the witness's fault, or nobody's. */
  readonly reason: string;
  /** What the scenario fails with there: another failure is not the known one. */
  readonly failsWith: RegExp;
}

/**
 * The scenarios that a server is known to fail. They run all the same and must fail as described:
 * when a witness starts to agree, its entry has to go. The emulator itself has none.
 */
export const knownDivergences: Partial<Record<TargetName, Readonly<Record<string, Divergence>>>> = {
  kinesalite: {
    "DescribeStream pages its shards": {
      reason: "it ignores Limit",
      failsWith: /HasMoreShards/,
    },
    "a stream can be named by its ARN": {
      reason: "it is older than StreamARN",
      failsWith: /Value null at 'streamName'/,
    },
    "GetRecords refuses the ARN of another stream": {
      reason: "it is older than StreamARN",
      failsWith: /promise resolved/,
    },
    "AT_TIMESTAMP on an empty shard waits for the first record": {
      reason: "it never replies when no record is found",
      failsWith: /TimeoutError/,
    },
    "MillisBehindLatest is above zero until the tip": {
      reason: "it says 0 whenever records come back",
      failsWith: /expected 0 to be greater than 0/,
    },
    "nothing is behind the end of a closed shard": {
      reason: "it counts from the instant of closing",
      failsWith: /expected \d+ to be \+0/,
    },
    "the end of a shard names its children": {
      reason: "it is older than ChildShards",
      failsWith: /expected undefined to match/,
    },
    "both parents of a merge name the child with both parents": {
      reason: "it is older than ChildShards",
      failsWith: /expected undefined to match/,
    },
    "a closed shard cannot be split": {
      reason: "it checks the hash key alone",
      failsWith: /promise resolved/,
    },
    "UpdateShardCount leaves equal open shards": {
      reason: "it is older than UpdateShardCount",
      failsWith: /UnknownOperationException/,
    },
    "ListShards pages, and a token stands for the stream": {
      reason: "it ignores MaxResults",
      failsWith: /expected 1 to be 3/,
    },
    "ListShards refuses a token together with the stream's name": {
      reason: "it never gives a token",
      failsWith: /expected undefined to be defined/,
    },
    "ListShards filters: open now, after a shard, open then": {
      reason: "it ignores ShardFilter",
      failsWith: /to deeply equal/,
    },
    "a stream's tags are those of its ARN": {
      reason: "it is older than TagResource",
      failsWith: /UnknownOperationException/,
    },
    "a resource policy is kept until it is deleted": {
      reason: "it is older than resource policies",
      failsWith: /UnknownOperationException/,
    },
    "a stream is encrypted, and then no longer": {
      reason: "it is older than StartStreamEncryption",
      failsWith: /UnknownOperationException/,
    },
    "records are marked that were written to an encrypted stream": {
      reason: "it is older than StartStreamEncryption",
      failsWith: /UnknownOperationException/,
    },
    "enhanced monitoring says which metrics there were and which there are": {
      reason: "it is older than EnableEnhancedMonitoring",
      failsWith: /UnknownOperationException/,
    },
    "limits count open shards and on-demand streams": {
      reason: "it is older than DescribeLimits",
      failsWith: /UnknownOperationException/,
    },
    "a change of a stream's mode leaves its shards": {
      reason: "it is older than on-demand streams",
      failsWith: /UnknownOperationException/,
    },
    "a stream may take records of up to 10 MiB": {
      reason: "it is older than UpdateMaxRecordSize",
      failsWith: /UnknownOperationException/,
    },
    "the account's commitment is made": {
      reason: "it is older than UpdateAccountSettings",
      failsWith: /UnknownOperationException/,
    },
    "CreateStream takes tags": {
      reason: "it is older than CreateStream's Tags, and ignores them",
      failsWith: /expected \[\] to deeply equal/,
    },
    "a stream in on-demand mode has four shards": {
      reason: "it is older than on-demand streams",
      failsWith: /Value null at 'shardCount'/,
    },
    "a stream's warm throughput is set": {
      reason: "it is older than UpdateAccountSettings",
      failsWith: /UnknownOperationException/,
    },
  },
  "kinesis-local": {
    "an unknown operation is refused": {
      reason: "it takes it for one that is not allowed: AccessDeniedException",
      failsWith: /to match object { __type: 'UnknownOperationException' }/,
    },
    "a bad stream name is refused": {
      reason: "InvalidArgumentException, where the service's constraints say ValidationException",
      failsWith: /expected InvalidArgumentException/,
    },
    "GetRecords refuses the ARN of another stream": {
      reason: "it looks at the iterator alone",
      failsWith: /promise resolved/,
    },
    "more than 500 records in one call are refused": {
      reason: "it has no such limit",
      failsWith: /promise resolved/,
    },
    "AT_TIMESTAMP in the future is refused": {
      reason: "it takes any timestamp",
      failsWith: /promise resolved/,
    },
    "a sequence number of another shard is refused": {
      reason: "it does not look into sequence numbers",
      failsWith: /promise resolved/,
    },
    "a sequence number of a stream that was recreated is refused": {
      reason: "it does not look into sequence numbers",
      failsWith: /promise resolved/,
    },
    "a malformed sequence number is refused": {
      reason: "it does not look into sequence numbers",
      failsWith: /promise resolved/,
    },
    "a sequence number with TRIM_HORIZON is refused": {
      reason: "it ignores what the iterator's type does not need",
      failsWith: /promise resolved/,
    },
    "a made-up iterator is refused": {
      reason: "it answers 5xx without a type",
      failsWith: /expected Unknown/,
    },
    "a split closes the parent and opens two children": {
      reason: "a closed shard ends with 9223372036854775807, which is no sequence number",
      failsWith: /expected '9223372036854775807' to match/,
    },
    "UpdateShardCount leaves equal open shards": {
      reason: "it halves some shards and leaves the others: 3 of 2 are not equal",
      failsWith: /to deeply equal/,
    },
  },
  ferrokinesis: {
    "DescribeStream pages its shards": {
      reason: "it ignores Limit",
      failsWith: /HasMoreShards/,
    },
    "a stream can be named by its ARN": {
      reason: "ListShards does not look at StreamARN",
      failsWith: /Either NextToken or StreamName should be provided/,
    },
    "GetRecords refuses the ARN of another stream": {
      reason: "it looks at the iterator alone",
      failsWith: /promise resolved/,
    },
    "AT_TIMESTAMP starts with the first record that came then or later": {
      reason: "arrival times are whole seconds: it passes if a second begins between the records",
      failsWith: /expected \[ 'a', 'b' \] to deeply equal \[ 'b' \]|^it passes now/,
    },
    "MillisBehindLatest is above zero until the tip": {
      reason: "it says 0 whenever records come back",
      failsWith: /expected 0 to be greater than 0/,
    },
    "nothing is behind the end of a closed shard": {
      reason: "it counts from the instant of closing",
      failsWith: /expected \d+ to be \+0/,
    },
    "the end of a shard names its children": {
      reason: "it leaves ChildShards out",
      failsWith: /expected undefined to match/,
    },
    "both parents of a merge name the child with both parents": {
      reason: "it leaves ChildShards out",
      failsWith: /expected undefined to match/,
    },
    "a closed shard cannot be split": {
      reason: "it checks the hash key alone",
      failsWith: /promise resolved/,
    },
    "UpdateShardCount cannot more than double": {
      reason: "it scales to any number",
      failsWith: /promise resolved/,
    },
    "ListShards pages, and a token stands for the stream": {
      reason: "it looks for the stream whose name is empty",
      failsWith: /ResourceNotFoundException/,
    },
    "ListShards filters: open now, after a shard, open then": {
      reason: "it ignores ShardFilter",
      failsWith: /to deeply equal/,
    },
    "CreateStream takes tags": {
      reason: "it ignores them",
      failsWith: /expected \[\] to deeply equal/,
    },
    "a resource policy is kept until it is deleted": {
      reason: "it answers an empty policy where there is none",
      failsWith: /promise resolved/,
    },
    "records are marked that were written to an encrypted stream": {
      reason: "the stream alone says that it is encrypted",
      failsWith: /EncryptionType: 'KMS'/,
    },
    "limits count open shards and on-demand streams": {
      reason: "it asks for a number of shards in on-demand mode too",
      failsWith: /Value null at 'shardCount'/,
    },
    "a stream in on-demand mode has four shards": {
      reason: "it asks for a number of shards in on-demand mode too",
      failsWith: /Value null at 'shardCount'/,
    },
    "a stream may take records of up to 10 MiB": {
      reason: "the summary does not say how large they may be",
      failsWith: /expected undefined to be 10240/,
    },
    "the account's commitment is made": {
      reason: "it does not say since when",
      failsWith: /expected \{ Status: 'ENABLED' \} to match/,
    },
    "a stream's warm throughput is set": {
      reason: "it asks for a number of shards in on-demand mode too",
      failsWith: /Value null at 'shardCount'/,
    },
  },
};
