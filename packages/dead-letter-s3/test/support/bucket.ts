import { randomUUID } from "node:crypto";
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import type { Address } from "@kc-internal/test-services";
import { inject, onTestFinished } from "vitest";

export function connect({ host, port }: Address = inject("sqsS3")): S3Client {
  return new S3Client({
    endpoint: `http://${host}:${port}`,
    region: "us-east-1",
    credentials: { accessKeyId: "any", secretAccessKey: "any" },
    forcePathStyle: true,
    maxAttempts: 1,
  });
}

/** A bucket of its own. */
export class TestBucket {
  readonly name: string = randomUUID();
  readonly #admin: S3Client;

  private constructor(admin: S3Client) {
    this.#admin = admin;
  }

  static async create(admin: S3Client): Promise<TestBucket> {
    const bucket = new TestBucket(admin);
    await admin.send(new CreateBucketCommand({ Bucket: bucket.name }));
    return bucket;
  }

  async put(key: string, body: string): Promise<void> {
    await this.#admin.send(new PutObjectCommand({ Bucket: this.name, Key: key, Body: body }));
  }

  async keys(): Promise<readonly string[]> {
    const keys: string[] = [];
    let after: string | undefined;
    do {
      const page = await this.#admin.send(
        new ListObjectsV2Command({
          Bucket: this.name,
          ...(after !== undefined && { StartAfter: after }),
        }),
      );
      keys.push(...(page.Contents ?? []).map(({ Key = "" }) => Key));
      after = page.IsTruncated === true ? keys.at(-1) : undefined;
    } while (after !== undefined);
    return keys;
  }

  async texts(): Promise<readonly string[]> {
    const text = async (Key: string): Promise<string> => {
      const { Body } = await this.#admin.send(new GetObjectCommand({ Bucket: this.name, Key }));
      return (await Body?.transformToString()) ?? "";
    };
    return Promise.all((await this.keys()).map(text));
  }
}

/** A bucket of the test's own. */
export async function openBucket(): Promise<TestBucket> {
  const admin = connect();
  onTestFinished(() => admin.destroy());
  return TestBucket.create(admin);
}
