import { Writable } from "node:stream";
import { Ajv } from "ajv";
import { expect } from "vitest";
import { EMF_SCHEMA, referencesOf, type EmfDocument } from "./emf-schema.ts";

const isDocument = new Ajv({ allErrors: true }).compile(EMF_SCHEMA);

/** Takes lines, as a log driver does, each of which must be a valid document. */
export class Lines extends Writable {
  readonly documents: EmfDocument[] = [];
  #rest = "";

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    const lines = (this.#rest + chunk.toString()).split("\n");
    this.#rest = lines.pop()!;
    for (const line of lines) {
      const document = JSON.parse(line) as EmfDocument;
      expect(isDocument(document), JSON.stringify(isDocument.errors)).toBe(true);
      expect(referencesOf(line)).toEqual([]);
      this.documents.push(document);
    }
    done();
  }
}
