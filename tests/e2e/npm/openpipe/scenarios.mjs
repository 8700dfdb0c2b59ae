// Calls of a program that uses the published `openpipe` client, pointed at LLM Ledger and at a stand-in provider.
import OpenPipe from "openpipe/client";
import OpenAI from "openpipe/openai";

import { fromReply, fromStream, required, runGroup, WEATHER } from "../scenario_lines.cjs";

const RUN = required("RUN");
const openpipe = { apiKey: required("LEDGER_KEY"), baseUrl: `${required("LEDGER_URL")}/api/v1` };
const provider = { apiKey: "provider-key", maxRetries: 0, openpipe };
const openai = new OpenAI({ ...provider, baseURL: required("UPSTREAM_URL") });
const openaiAway = new OpenAI({ ...provider, baseURL: `${required("REFUSED_URL")}/v1` });
const client = new OpenPipe(openpipe);

const REQUESTED_AT = 1700000000000;
const RECEIVED_AT = 1700000001500;

const named = (scenario, extra = {}) => ({ scenario, run: RUN, ...extra });
const messages = (scenario) => [{ role: "user", content: `${scenario} ${RUN}` }];
const call = (scenario, extra = {}) => ({
  model: "gpt-4o",
  messages: messages(scenario),
  openpipe: { tags: named(scenario) },
  ...extra,
});

async function whole(request, wrapper = openai) {
  const reply = await wrapper.chat.completions.create(request);
  await reply.openpipe.reportingFinished;
  return fromReply(reply);
}

async function streamed(request) {
  return fromStream(await openai.chat.completions.create({ ...request, stream: true }));
}

async function directReport(scenario) {
  const answer = await client.report({
    requestedAt: REQUESTED_AT,
    receivedAt: RECEIVED_AT,
    reqPayload: { model: "gpt-4o", messages: messages(scenario) },
    respPayload: {
      id: `chatcmpl-${RUN}`,
      object: "chat.completion",
      created: 1,
      model: "gpt-4o",
      choices: [{ index: 0, finish_reason: "stop", message: { role: "assistant", content: "1 2 3" } }],
      usage: { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 },
    },
    statusCode: 200,
    tags: named(scenario, { user_id: "user-of-tag", n: 1, b: true, z: null }),
  });
  return { outcome: answer.status, completion: null };
}

async function reportAnthropic(scenario) {
  const answer = await client.reportAnthropic({
    requestedAt: REQUESTED_AT,
    receivedAt: RECEIVED_AT,
    reqPayload: {
      model: "claude-3-opus-20240229",
      max_tokens: 100,
      messages: messages(scenario),
      metadata: { user_id: "user-of-anthropic" },
    },
    respPayload: {
      id: "msg_1",
      type: "message",
      role: "assistant",
      model: "claude-3-opus-20240229",
      content: [{ type: "text", text: "Hi" }],
      stop_reason: "end_turn",
      stop_sequence: null,
      usage: { input_tokens: 10, output_tokens: 9 },
    },
    statusCode: 200,
    metadata: named(scenario),
  });
  return { outcome: answer.status, completion: null };
}

async function updated(update) {
  const answer = await update;
  return { outcome: `matched ${answer.matchedLogs}`, completion: null };
}

const ofThisRun = { field: "tags.run", equals: RUN };

await runGroup({
  reporting: {
    // Metadata travels in the request itself here, beside tags of other types.
    "openpipe-plain": (scenario) =>
      whole(
        call(scenario, {
          user: "user-of-request",
          metadata: named(scenario),
          openpipe: { tags: { any_key: "any_value", num: 1, flag: true, nul: null } },
        }),
      ),
    "openpipe-text-stream": (scenario) => streamed(call(scenario)),
    "openpipe-usage-in-stream": (scenario) => streamed(call(scenario, { stream_options: { include_usage: true } })),
    "openpipe-called-tools": (scenario) => whole(call(scenario, { tools: [WEATHER] })),
    "openpipe-streamed-tools": (scenario) => streamed(call(scenario, { tools: [WEATHER] })),
    "openpipe-provider-404": (scenario) => whole(call(scenario, { model: "gpt-4o-missing" })),
    "openpipe-provider-refused": (scenario) => whole(call(scenario), openaiAway),
    "openpipe-direct-report": directReport,
    "openpipe-report-anthropic": reportAnthropic,
  },
  // For a ledger that cannot be reached, or that refuses the key.
  unheard: {
    "openpipe-unheard-plain": (scenario) => whole(call(scenario)),
    "openpipe-unheard-stream": (scenario) => streamed(call(scenario)),
    "openpipe-unheard-report": directReport,
  },
  updates: {
    "openpipe-updated-report": directReport,
    "openpipe-update-tags": () =>
      updated(client.updateLogTags({ filters: [ofThisRun], tags: { otherId: "v2", n: 2, b: null } })),
    "openpipe-update-metadata": () =>
      updated(
        client.updateLogMetadata({
          filters: [{ field: "completionId", equals: `chatcmpl-${RUN}` }],
          metadata: { a: "b", n: null },
        }),
      ),
  },
});
