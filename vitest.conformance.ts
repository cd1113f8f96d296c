import type { Reporter, TestModule } from "vitest/node";

/** After a run, says how many scenarios of the conformance suites each adapter has passed. */
export class ConformanceReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const lines: string[] = [];
    for (const module of modules) {
      if (!module.moduleId.endsWith("conformance.test.ts")) continue;
      for (const suite of module.children.suites()) {
        const tests = [...suite.children.allTests()];
        const passed = tests.filter((each) => each.ok()).length;
        lines.push(`  ${suite.name}: ${passed} of ${tests.length}`);
      }
    }
    if (lines.length > 0) console.log(`\n Conformance scenarios passed\n${lines.join("\n")}\n`);
  }
}
