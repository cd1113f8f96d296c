import { DescribeStreamSummaryCommand } from "@aws-sdk/client-kinesis";
import { FakeKinesis } from "@kc/emulator";
import { expect, test } from "vitest";

test("the third call is throttled, the one after it loses its connection", async () => {
  const kinesis = new FakeKinesis({ streams: { orders: 1 } });
  const operation = "DescribeStreamSummary";
  kinesis.faults.fail({ operation, call: 3, error: "LimitExceededException" });
  kinesis.faults.drop({ operation, call: 4 });

  const call = () => kinesis.send(new DescribeStreamSummaryCommand({ StreamName: "orders" }));
  await call();
  await call();
  await expect(call()).rejects.toMatchObject({ name: "LimitExceededException" });
  await expect(call()).rejects.toMatchObject({ code: "ECONNRESET" });
  await call();
  expect(kinesis.countOf(operation)).toBe(5);
});
