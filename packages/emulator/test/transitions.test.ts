import {
  CreateStreamCommand,
  DeleteStreamCommand,
  DescribeStreamSummaryCommand,
  ResourceNotFoundException,
} from "@aws-sdk/client-kinesis";
import { describe, expect, it } from "vitest";
import { setup } from "./setup.ts";

describe("transitions", () => {
  it("last as long as they are told to", async () => {
    const { clock, kinesis } = setup({ transitionMs: 500, streams: {} });
    const status = async () => {
      const command = new DescribeStreamSummaryCommand({ StreamName: "s" });
      return (await kinesis.send(command)).StreamDescriptionSummary?.StreamStatus;
    };
    await kinesis.send(new CreateStreamCommand({ StreamName: "s", ShardCount: 1 }));
    expect(await status()).toBe("CREATING");
    await expect(kinesis.send(new DeleteStreamCommand({ StreamName: "s" }))).rejects.toMatchObject({
      name: "ResourceInUseException",
    });
    await clock.advance(500);
    expect(await status()).toBe("ACTIVE");
    await kinesis.send(new DeleteStreamCommand({ StreamName: "s" }));
    expect(await status()).toBe("DELETING");
    await clock.advance(500);
    await expect(status()).rejects.toThrow(ResourceNotFoundException);
  });
});
