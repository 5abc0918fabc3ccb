// Reads a JSON list of {signature, key, message, address} and writes the judge's verdicts as one.
// The address is always given: without one the judge says nothing about whose key signed.
"use strict";

const judge = require("@cardano-foundation/cardano-verify-datasignature");
const verify = judge.default ?? judge;
const cases = JSON.parse(require("node:fs").readFileSync(0, "utf8"));

function verdict({ signature, key, message, address }) {
  try {
    return verify(signature, key, message, address) === true;
  } catch {
    return false; // it throws for what it cannot read
  }
}

process.stdout.write(JSON.stringify(cases.map(verdict)));
