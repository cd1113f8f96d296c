import { ConfigError } from "@kc/core";
import { describe, expect, it } from "vitest";
import { S3DeadLetterQueue } from "../src/index.ts";

const bucket = "orders-dead-letters";

/** Called as from JavaScript, where no compiler looks on. */
function construct(options: object): unknown {
  try {
    return Reflect.construct(S3DeadLetterQueue, [options]);
  } catch (error) {
    return error;
  }
}

describe("new S3DeadLetterQueue", () => {
  it.each([
    ["bucket", {}, "a bucket's name or an ARN"],
    ["bucket", { bucket: "Orders" }, "not Orders"],
    ["bucket", { bucket: "s3://orders" }, "a bucket's name"],
    ["prefix", { bucket, prefix: "/letters" }, "without a / before it"],
    ["prefix", { bucket, prefix: "a\nb" }, "printable characters"],
    ["prefix", { bucket, prefix: "\u00fc".repeat(151) }, "at most 300 bytes"],
    ["client", { bucket, client: {} }, "an S3Client"],
    ["put", { bucket, put: "AES256" }, "an object"],
    ["Body", { bucket, put: { Body: "x" } }, "BucketKeyEnabled"],
    ["timeoutMs", { bucket, timeoutMs: 0 }, "100 to 600000"],
    ["bucketName", { bucketName: bucket }, "did you mean bucket?"],
  ])("refuses a wrong %s: %o", (option, options, text) => {
    const error = construct(options);
    expect(error).toBeInstanceOf(ConfigError);
    expect(error).toMatchObject({ option, message: expect.stringContaining(text) });
  });

  it.each([
    { bucket, prefix: "" },
    { bucket: "arn:aws:s3:eu-west-1:111122223333:accesspoint/letters" },
    {
      bucket,
      put: { ServerSideEncryption: "aws:kms", SSEKMSKeyId: "key-1", BucketKeyEnabled: true },
    },
  ])("takes %o", (options) => {
    expect(construct(options)).toBeInstanceOf(S3DeadLetterQueue);
  });
});
