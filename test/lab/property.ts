import fc from "fast-check";

// The same inputs each time, so that a change is judged by what it changes. `npm run fuzz` looks for new ones.
if (process.env["FUZZ_FACTOR"] === undefined) fc.configureGlobal({ seed: 1 });

export { default as fc } from "fast-check";
