import { defineConfig } from "vitest/config";

const minute = 60_000;

export default defineConfig({
  test: {
    environment: "node",
    pool: "forks",
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["test/**/*.test.ts"],
          exclude: ["test/rehearsal/**", "test/real/**"],
          testTimeout: 20_000,
          hookTimeout: 20_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        // Each file runs a whole world with its own engine, Vault and hosts: one after another.
        extends: true,
        test: {
          name: "rehearsal",
          include: ["test/rehearsal/**/*.test.ts", "test/real/**/*.test.ts"],
          testTimeout: 5 * minute,
          hookTimeout: 15 * minute,
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
