/** The text printed when the server listens: its streams, and how to connect clients. */
export function banner(
  url: string,
  region: string,
  streams: Readonly<Record<string, number>>,
): string {
  const names = Object.entries(streams).map(([name, shards]) => `${name}:${shards}`);
  return `Kinesis emulator on ${url}
  streams    ${names.join(", ") || "none yet"}
  SDK        new KinesisClient({ endpoint: "${url}", region: "${region}", credentials: { accessKeyId: "any", secretAccessKey: "any" } })
  AWS CLI    AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any aws --endpoint-url ${url} --region ${region} kinesis list-streams
  health     curl ${url}/health
`;
}
