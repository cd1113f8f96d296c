/** A violated property. It ends the story. */
export class Violation extends Error {
  override readonly name = "Violation";
}
