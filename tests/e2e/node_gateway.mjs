// A gateway in Node: @grpc/grpc-js with the contract's files, and no code of the project. node_client_test.py
// runs it; what README.md shows is from here.
//
//   node node_gateway.mjs TOOLS PROTO TARGET EVENTS     TOOLS has node_modules/
//
// Writes one event, then streams EVENTS others. Says "half" when half of them are on their way, waits for a
// line, and goes on. At the end it prints what it heard, as JSON.

import {randomUUID} from "node:crypto";
import {createRequire} from "node:module";
import {join, resolve} from "node:path";
import {createInterface} from "node:readline";

const [tools, proto, target, count] = process.argv.slice(2);
const require = createRequire(join(resolve(tools), "node_modules/"));
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const how = {includeDirs: [proto], longs: Number, enums: String};
const files = loader.loadSync("holdfast/v1/ingest.proto", how);
const {IngestService} = grpc.loadPackageDefinition(files).holdfast.v1;
const ingest = new IngestService(target, grpc.credentials.createInsecure());

// Events on their way to the daemon's disk at most, and in one batch.
const WINDOW = 1000;
const BATCH = 200;

// Where a gateway begins anew after a broken stream, unless it is asked for a longer pause.
const PAUSE_MS = 100;

// After these another stream would fare no better.
const FINAL = [grpc.status.ABORTED, grpc.status.INVALID_ARGUMENT, grpc.status.FAILED_PRECONDITION];

// Keeps every event until an acknowledgement covers it, and sends it again on the next stream.
class Sender {
  producerId = randomUUID();
  streams = 0;
  errors = [];     // Of events that are not stored.
  #waiting = [];   // Events without an acknowledgement; the first has the sequence #first.
  #first = 1;
  #sent = 0;       // The last sequence that this stream brought.
  #stream = null;  // Once it is welcomed.

  constructor(onAnswered) {
    this.onAnswered = onAnswered;
    this.#open();
  }

  send(event) {
    this.#waiting.push(event);
    this.#write();
  }

  get unanswered() {
    return this.#waiting.length;
  }

  #open() {
    const stream = ingest.Stream();
    ++this.streams;
    stream.on("data", (response) => this.#take(stream, response));
    stream.on("error", () => {});  // Its status comes as well.
    stream.on("status", (status) => this.#end(status));
    stream.write({hello: {producerId: this.producerId, ackLevel: "ACK_LEVEL_COMMITTED",
                          firstSequence: this.#first}});
  }

  #take(stream, {welcome, ack, eventError}) {
    if (welcome) {
      this.#stream = stream;
      this.#sent = this.#first - 1;
    } else if (eventError) {
      this.errors.push(eventError);
    } else if (ack.committedThrough >= this.#first) {
      this.#waiting.splice(0, ack.committedThrough - this.#first + 1);
      this.#first = ack.committedThrough + 1;
      this.onAnswered();
    }
    this.#write();
  }

  #write() {
    while (this.#stream && this.#sent < this.#first - 1 + Math.min(this.#waiting.length, WINDOW)) {
      const begin = this.#sent - this.#first + 1;
      const events = this.#waiting.slice(begin, Math.min(begin + BATCH, WINDOW));
      this.#stream.write({batch: {firstSequence: this.#sent + 1, events}});
      this.#sent += events.length;
    }
  }

  #end(status) {
    this.#stream = null;
    if (FINAL.includes(status.code)) throw new Error(status.details);
    const [pause] = status.metadata.get("grpc-retry-pushback-ms");
    setTimeout(() => this.#open(), Number(pause ?? PAUSE_MS));
  }
}

// One event, as README.md shows it.
function write() {
  return new Promise((done, failed) => {
    const usage = {eventId: randomUUID(), apiKeyId: "key-1", model: "m", costMicros: 4800};
    const event = {occurredAt: {seconds: Math.floor(Date.now() / 1000)}, usage};
    ingest.Write({batch: {events: [event]}, waitFor: "ACK_LEVEL_COMMITTED"}, (error, answer) => {
      // An error, or in answer.results what became of each event.
      return error ? failed(error) : done(answer.results);
    });
  });
}

// Each tenth event counts hits, which only its sequence keeps from counting twice; the seventh has no key
// and is refused.
function make(number) {
  const kind = number % 10 === 0
    ? {rateLimit: {identifier: "user:1", windowType: "WINDOW_TYPE_MINUTE", routePath: "/", hits: 3}}
    : {usage: {eventId: randomUUID(), apiKeyId: number === 7 ? "" : "key-1", model: "m"}};
  return {occurredAt: {seconds: 1772323200}, ...kind};
}

async function line() {
  for await (const text of createInterface({input: process.stdin})) return text;
}

const written = await write();
await new Promise((done) => {
  const sender = new Sender(() => {
    if (sender.unanswered > 0 || number < count) return;
    console.log(JSON.stringify({written, streams: sender.streams, errors: sender.errors}));
    done();
  });
  let number = 0;
  const send = (through) => { while (number < through) sender.send(make(++number)); };
  send(count / 2);
  console.log("half");
  line().then(() => send(Number(count)));
});
process.exit(0);
