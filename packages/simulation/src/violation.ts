/** A promise was broken. The story ends here. */
export class Violation extends Error {
  override readonly name = "Violation";
}
