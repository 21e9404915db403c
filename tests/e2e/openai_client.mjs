// What the `openai` package for Node makes of a guard: one JSON object on standard output.
//   node openai_client.mjs MODULE BASE_URL
const [, , module, baseURL] = process.argv
const { default: OpenAI } = await import(module)

const messages = [{ role: 'user', content: 'What is the capital of Norway?' }]
const tools = [{ type: 'function', function: { name: 'weather', parameters: { type: 'object' } } }]
let keys = 0
const fresh = () => new OpenAI({ apiKey: `sk-node-${keys++}`, baseURL, maxRetries: 2 })

// How often the client really asks, and how long it waits in between; it does not wait.
const real = { fetch: globalThis.fetch, setTimeout: globalThis.setTimeout }
let asked = 0
let waits = []
globalThis.fetch = (...args) => { asked += 1; return real.fetch(...args) }
globalThis.setTimeout = (call, wait, ...rest) => {
  // Others have timers, too; and the time limit of a request is ten minutes: no wait is that long.
  if (wait < 300_000 && new Error().stack.includes('/node_modules/openai/')) { waits.push(wait); return real.setTimeout(call, 0, ...rest) }
  return real.setTimeout(call, wait, ...rest)
}

async function refused (model, client = fresh(), more = {}) {
  asked = 0
  waits = []
  try {
    await client.chat.completions.create({ model, messages, ...more })
    return { error: null }
  } catch (error) {
    return {
      error: error.constructor.name, status: error.status, code: error.code, message: error.message,
      id: error.requestID, retry: error.headers?.get('retry-after'),
      should: error.headers?.get('x-should-retry'), asked, waits
    }
  }
}

const out = {}
const client = fresh()
const plain = await client.chat.completions.create({ model: 'node-plain', messages })
out.plain = plain.choices[0].message.content
const stream = await client.chat.completions.create({ model: 'node-stream', messages, stream: true })
out.stream = ''
out.usage = []
for await (const chunk of stream) {
  out.stream += chunk.choices[0].delta.content ?? ''
  out.usage.push(chunk.usage ?? null)
}
const tool = await client.chat.completions.create({ model: 'node-tool', messages, tools })
out.tool = tool.choices[0].message.tool_calls[0].function
out.response = (await client.responses.create({ model: 'node-response', input: 'Oslo?' })).output_text
out.vectors = (await client.embeddings.create({ model: 'node-embed', input: 'a', encoding_format: 'float' })).data.length
const raw = await client.chat.completions.create({ model: 'node-raw', messages }).asResponse()
out.left = raw.headers.get('x-ratelimit-remaining-tokens')
await raw.text()
const many = Array.from({ length: 8 }, async () => {
  const one = await client.chat.completions.create({ model: 'node-many', messages, stream: true })
  let text = ''
  for await (const chunk of one) text += chunk.choices[0].delta.content ?? ''
  return text
})
out.many = await Promise.all(many)

out.refused = await refused('refused')
out.refusedStream = await refused('refused', fresh(), { stream: true })
out.unverified = await refused('unverified')
out.embargoed = await refused('embargoed')
out.stale = await refused('stale')
out.busy = await refused('busy')
for (const model of ['scarce', 'rare']) {
  const patient = fresh()
  await patient.chat.completions.create({ model, messages })
  out[model] = await refused(model, patient)
}
console.log(JSON.stringify(out))
