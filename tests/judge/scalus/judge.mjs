// Judges transactions by Scalus's ledger: one JSON object a line in, one a line out, in order.
//
// {"utxos": hex, "slot": number}                opens a ledger that holds this UTxO map (CBOR)
// {"utxos": hex, "slot": number, "tx": hex}     judges one transaction in a ledger of its own
// {"slot": number}, {"tx": hex}                 go on with the ledger that was opened last
// {"scripts": [hex, ...]}                       runs Plutus V3 scripts that need no argument
// {"holdings": true}                            asks for the opened ledger's UTxO map
//
// Answers: {"accepted": true, "id": hex}, {"accepted": false, "error": text}, {"utxos": hex}, {},
// {"runs": [[memory, steps] or null, ...]} (null where a script ended in an error);
// {"fault": text} for a question that makes no sense.

import { createInterface } from "node:readline";
import scalus from "scalus";

const { Emulator, Scalus, SlotConfig } = scalus;
const fromHex = (text) => new Uint8Array(Buffer.from(text, "hex"));
const toHex = (bytes) => Buffer.from(bytes).toString("hex");

let opened = null;

function open(utxos, slot) {
  const ledger = new Emulator(fromHex(utxos), SlotConfig.preview);
  ledger.setSlot(slot);
  return ledger;
}

function judge(ledger, tx) {
  try {
    const result = ledger.submitTx(fromHex(tx));
    if (result.isSuccess) return { accepted: true, id: result.txHash };
    return { accepted: false, error: String(result.error) };
  } catch (error) {
    return { accepted: false, error: `thrown: ${error.message ?? error}` };
  }
}

function run(script) {
  try {
    const { isSuccess, budget } = Scalus.evaluateScript(script);
    return isSuccess ? [Number(budget.memory), Number(budget.steps)] : null;
  } catch {
    return null;
  }
}

function answer(question) {
  if (question.scripts !== undefined) return { runs: question.scripts.map(run) };
  if (question.holdings) return { utxos: toHex(opened.getUtxosCbor()) };
  if (question.utxos !== undefined) {
    const ledger = open(question.utxos, question.slot);
    if (question.tx !== undefined) return judge(ledger, question.tx);
    opened = ledger;
  } else if (question.tx !== undefined) return judge(opened, question.tx);
  else opened.setSlot(question.slot);
  return {};
}

function answerOrFault(line) {
  try {
    return answer(JSON.parse(line));
  } catch (error) {
    return { fault: String(error.message ?? error) };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(answerOrFault(line))}\n`);
}
