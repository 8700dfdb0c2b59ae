"use strict";
// Runs the scenarios of one group, one after the other, and prints one JSON line for each:
// {"scenario", "outcome", "completion"}. Standard output carries nothing else; what went wrong is told on standard error.

/** The value of an environment variable; without it nothing can be run. */
function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}

/** How a call ended for its caller: the error's class, and the HTTP status when there was one. */
function outcomeOf(error) {
  const kind = error.constructor.name;
  return Number.isInteger(error.status) ? `${kind} ${error.status}` : kind;
}

/** Run the group named on the command line. Each scenario is called with its own name. */
async function runGroup(groups) {
  const group = process.argv[2];
  if (!(group in groups)) throw new Error(`no such group of scenarios: ${group}`);
  for (const [scenario, call] of Object.entries(groups[group])) {
    let line;
    try {
      line = await call(scenario);
    } catch (error) {
      console.error(scenario, error);
      // The OpenPipe wrapper reports failed calls in the background and hands over what to wait for.
      await error.openpipe?.reportingFinished;
      line = { outcome: outcomeOf(error), completion: null };
    }
    console.log(JSON.stringify({ scenario, ...line }));
  }
}

/** What the caller got from a whole reply: why it ended, and its text. */
function fromReply(reply) {
  const [choice] = reply.choices;
  return { outcome: choice.finish_reason, completion: choice.message.content };
}

/** The same from a stream, read to its end. Without any text the completion is null, as in a whole reply. */
async function fromStream(stream) {
  let outcome = null;
  let text = "";
  for await (const chunk of stream) {
    for (const choice of chunk.choices) {
      text += choice.delta.content ?? "";
      outcome = choice.finish_reason ?? outcome;
    }
  }
  return { outcome, completion: text === "" ? null : text };
}

const WEATHER = {
  type: "function",
  function: { name: "get_weather", parameters: { type: "object", properties: { city: { type: "string" } } } },
};

module.exports = { required, runGroup, fromReply, fromStream, WEATHER };
