import { expect, it } from "vitest";
import { inputShapes } from "../../src/api/input-shapes.ts";
import { MAX_INTEGER, type Members, type Shape } from "../../src/api/shapes.ts";
import { isOperationName, whyNotServed } from "../../src/operations/operations.ts";
import { python } from "./python.ts";

/** The part of AWS's service model that is looked at. */
interface ServiceModel {
  readonly operations: Readonly<Record<string, { readonly input: { readonly shape: string } }>>;
  readonly shapes: Readonly<Record<string, ModelShape>>;
}
interface ModelShape {
  readonly type: string;
  readonly min?: number;
  readonly max?: number;
  readonly pattern?: string;
  readonly enum?: readonly string[];
  readonly required?: readonly string[];
  readonly members?: Readonly<Record<string, { readonly shape: string }>>;
  readonly member?: { readonly shape: string };
  readonly key?: { readonly shape: string };
  readonly value?: { readonly shape: string };
}

it("requests have the members and constraints of AWS's service model, operation by operation", async (context) => {
  const run = await python(context);
  const program =
    "import json, botocore.loaders as l; " +
    "print(json.dumps(l.Loader().load_service_model('kinesis', 'service-2')))";
  const model = JSON.parse(await run(["-c", program])) as ServiceModel;

  const names = Object.keys(model.operations);
  const served = names.filter(isOperationName);
  expect(served.toSorted()).toEqual(Object.keys(inputShapes).toSorted());
  for (const name of names) {
    if (!isOperationName(name)) expect(whyNotServed(name)).toContain("is not emulated");
  }
  for (const name of served) {
    const { members } = shapeOf(model, model.operations[name]!.input.shape) as {
      members: Members;
    };
    expect({ [name]: inputShapes[name] }).toEqual({ [name]: members });
  }
});

function shapeOf(model: ServiceModel, name: string): Shape {
  const shape = model.shapes[name]!;
  const bounds = (least: number, most: number): [number, number] => [
    shape.min ?? least,
    shape.max ?? most,
  ];
  switch (shape.type) {
    case "string":
      if (shape.enum) return { type: "enum", values: shape.enum };
      return {
        type: "string",
        ...(shape.max === undefined ? {} : { length: bounds(0, Infinity) }),
        ...(shape.pattern === undefined ? {} : { pattern: shape.pattern }),
      };
    case "integer":
      return { type: "integer", range: bounds(-MAX_INTEGER - 1, MAX_INTEGER) };
    case "blob":
      return { type: "blob", length: bounds(0, Infinity) };
    case "list":
      return {
        type: "list",
        length: bounds(0, Infinity),
        member: shapeOf(model, shape.member!.shape),
      };
    case "map":
      return {
        type: "map",
        length: bounds(0, Infinity),
        key: shapeOf(model, shape.key!.shape),
        value: shapeOf(model, shape.value!.shape),
      };
    case "structure":
      return {
        type: "structure",
        members: Object.fromEntries(
          Object.entries(shape.members!).map(([member, { shape: target }]) => [
            member,
            {
              ...shapeOf(model, target),
              ...(shape.required?.includes(member) ? { required: true } : {}),
            },
          ]),
        ),
      };
    case "boolean":
    case "timestamp":
      return { type: shape.type };
    default:
      throw new Error(`no type of requests: ${shape.type} of ${name}`);
  }
}
