/** The embedded metric format's document, by AWS's specification and the limits of its text. */
export const EMF_SCHEMA = {
  type: "object",
  required: ["_aws"],
  properties: {
    _aws: {
      type: "object",
      required: ["Timestamp", "CloudWatchMetrics"],
      additionalProperties: false,
      properties: {
        Timestamp: { type: "integer" },
        CloudWatchMetrics: {
          type: "array",
          minItems: 1,
          maxItems: 1,
          items: {
            type: "object",
            required: ["Namespace", "Dimensions", "Metrics"],
            additionalProperties: false,
            properties: {
              Namespace: { type: "string", minLength: 1, maxLength: 255 },
              Dimensions: {
                type: "array",
                minItems: 1,
                items: {
                  type: "array",
                  maxItems: 30,
                  uniqueItems: true,
                  items: { type: "string", minLength: 1, maxLength: 250 },
                },
              },
              Metrics: {
                type: "array",
                minItems: 1,
                maxItems: 100,
                items: {
                  type: "object",
                  required: ["Name"],
                  additionalProperties: false,
                  properties: {
                    Name: { type: "string", minLength: 1, maxLength: 255 },
                    Unit: { enum: ["Count", "Bytes", "Milliseconds"] },
                    StorageResolution: { enum: [1, 60] },
                  },
                },
              },
            },
          },
        },
      },
    },
  },
  additionalProperties: {
    anyOf: [
      { type: "number" },
      { type: "array", items: { type: "number" }, minItems: 1, maxItems: 100 },
      {
        type: "string",
        minLength: 1,
        maxLength: 1024,
        pattern: "^(?!:)[\\x20-\\x7e]*[\\x21-\\x7e]",
      },
    ],
  },
} as const;

const MAX_BYTES = 256 * 1024;

const METADATA = "_aws";

export interface EmfDocument {
  readonly [METADATA]: {
    readonly Timestamp: number;
    readonly CloudWatchMetrics: readonly {
      readonly Namespace: string;
      readonly Dimensions: readonly (readonly string[])[];
      readonly Metrics: readonly {
        readonly Name: string;
        readonly Unit: string;
        readonly StorageResolution: number;
      }[];
    }[];
  };
  readonly [target: string]: unknown;
}

/** What CloudWatch is to make of a document: ours have one directive each. */
export function directiveOf(
  document: EmfDocument,
): EmfDocument[typeof METADATA]["CloudWatchMetrics"][number] {
  return document[METADATA].CloudWatchMetrics[0]!;
}

/** What no schema says: what a directive refers to is there, and of the right kind. */
export function referencesOf(line: string): readonly string[] {
  const document = JSON.parse(line) as EmfDocument;
  const complaints: string[] = [];
  if (Buffer.byteLength(line) > MAX_BYTES) complaints.push("too long");
  const { Dimensions, Metrics } = directiveOf(document);
  for (const name of Dimensions.flat()) {
    if (typeof document[name] !== "string") complaints.push(`dimension ${name}`);
  }
  for (const { Name } of Metrics) {
    if (!["number", "object"].includes(typeof document[Name])) complaints.push(`metric ${Name}`);
  }
  const names = new Set([...Dimensions.flat(), ...Metrics.map(({ Name }) => Name)]);
  if (names.size !== Dimensions.flat().length + Metrics.length) complaints.push("a name twice");
  return complaints;
}
