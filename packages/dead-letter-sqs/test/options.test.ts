import { ConfigError } from "@kc/core";
import { describe, expect, it } from "vitest";
import { SqsDeadLetterQueue } from "../src/index.ts";

const queueUrl = "https://sqs.eu-west-1.amazonaws.com/111122223333/orders-dead";

/** Called as from JavaScript, where no compiler looks on. */
function construct(options: object): unknown {
  try {
    return Reflect.construct(SqsDeadLetterQueue, [options]);
  } catch (error) {
    return error;
  }
}

describe("new SqsDeadLetterQueue", () => {
  it.each([
    ["queueUrl", {}, "must be a queue's URL"],
    ["queueUrl", { queueUrl: "orders-dead" }, "not orders-dead"],
    ["queueUrl", { queueUrl: "arn:aws:sqs:eu-west-1:111122223333:orders-dead" }, "queue's URL"],
    ["queueUrl", { queueUrl: "https://sqs.eu-west-1.amazonaws.com/" }, "queue's URL"],
    ["client", { queueUrl, client: {} }, "an SQSClient"],
    ["client", { queueUrl, client: null }, "an SQSClient"],
    ["maxMessageBytes", { queueUrl, maxMessageBytes: 16_383 }, "16384 to 1048576"],
    ["maxMessageBytes", { queueUrl, maxMessageBytes: 1_048_577 }, "16384 to 1048576"],
    ["maxMessageBytes", { queueUrl, maxMessageBytes: "262144" }, "whole number of bytes"],
    ["timeoutMs", { queueUrl, timeoutMs: 99 }, "100 to 600000"],
    ["queueURL", { queueURL: queueUrl }, "did you mean queueUrl?"],
  ])("refuses a wrong %s: %o", (option, options, text) => {
    const error = construct(options);
    expect(error).toBeInstanceOf(ConfigError);
    expect(error).toMatchObject({ option, message: expect.stringContaining(text) });
  });

  it.each([queueUrl, `${queueUrl}.fifo`, "http://localhost:4566/000000000000/orders-dead"])(
    "takes %s",
    (url) => {
      expect(construct({ queueUrl: url, maxMessageBytes: 262_144 })).toBeInstanceOf(
        SqsDeadLetterQueue,
      );
    },
  );
});
