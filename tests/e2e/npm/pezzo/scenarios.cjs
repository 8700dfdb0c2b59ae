"use strict";
// Calls of a program that uses the published `@pezzo/client`, pointed at LLM Ledger and at a stand-in provider.
const { Pezzo, PezzoOpenAI } = require("@pezzo/client");

const { fromReply, fromStream, required, runGroup, WEATHER } = require("../scenario_lines.cjs");

const RUN = required("RUN");
const pezzo = new Pezzo({
  serverUrl: required("LEDGER_URL"),
  apiKey: required("LEDGER_KEY"),
  projectId: required("LEDGER_PROJECT"),
  environment: "Production",
});
const provider = { apiKey: "provider-key", maxRetries: 0 };
const openai = new PezzoOpenAI(pezzo, { ...provider, baseURL: required("UPSTREAM_URL") });
const openaiAway = new PezzoOpenAI(pezzo, { ...provider, baseURL: `${required("REFUSED_URL")}/v1` });

const call = (scenario, extra = {}) => ({
  model: "gpt-4o",
  messages: [{ role: "user", content: `${scenario} ${RUN}` }],
  ...extra,
});
const named = (scenario, extra = {}) => ({ properties: { scenario, run: RUN, ...extra } });

async function whole(request, options, wrapper = openai) {
  return fromReply(await wrapper.chat.completions.create(request, options));
}

async function streamed(request, options) {
  return fromStream(await openai.chat.completions.create({ ...request, stream: true }, options));
}

runGroup({
  reporting: {
    "pezzo-plain": (scenario) => whole(call(scenario, { user: "user-of-request" }), named(scenario)),
    "pezzo-text-stream": (scenario) => streamed(call(scenario), named(scenario)),
    "pezzo-usage-in-stream": (scenario) =>
      streamed(call(scenario, { stream_options: { include_usage: true } }), named(scenario)),
    "pezzo-called-tools": (scenario) => whole(call(scenario, { tools: [WEATHER] }), named(scenario)),
    "pezzo-streamed-tools": (scenario) => streamed(call(scenario, { tools: [WEATHER] }), named(scenario)),
    "pezzo-provider-404": (scenario) => whole(call(scenario, { model: "gpt-4o-missing" }), named(scenario)),
    "pezzo-provider-refused": (scenario) => whole(call(scenario), named(scenario), openaiAway),
    "pezzo-properties": (scenario) =>
      whole(call(scenario), named(scenario, { userId: "user-of-property", n: 1, b: true })),
    "pezzo-variables": (scenario) => {
      const messages = [{ role: "user", content: "{name} {run}" }];
      return whole({ model: "gpt-4o", messages }, { ...named(scenario), variables: { name: scenario, run: RUN } });
    },
    "pezzo-cache": (scenario) => whole(call(scenario), { ...named(scenario), cache: true }),
  },
  // For a ledger that cannot be reached, or that refuses the key.
  unheard: {
    "pezzo-unheard-plain": (scenario) => whole(call(scenario), named(scenario)),
    "pezzo-unheard-stream": (scenario) => streamed(call(scenario), named(scenario)),
  },
});
