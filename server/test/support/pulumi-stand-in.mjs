#!/usr/bin/env node
// Stands in for the Pulumi command where it is absent: the flags and the JSON that its documents name, over a stack that a server
// keeps behind PULUMI_BACKEND_URL. The program of the project is `resources.json`: names and values; `!` before a value makes it secret.
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'

const options = {
  json: { type: 'boolean' },
  yes: { type: 'boolean' },
  'non-interactive': { type: 'boolean' },
  'skip-preview': { type: 'boolean' },
  'preview-only': { type: 'boolean' },
  'save-plan': { type: 'string' },
  plan: { type: 'string' },
  stack: { type: 'string' },
  'page-size': { type: 'string' },
}
const { values, positionals } = parseArgs({ options, allowPositionals: true })
const verb = positionals.join(' ')
const passphrase = readFileSync(process.env.PULUMI_CONFIG_PASSPHRASE_FILE ?? '', 'utf8')
const address = `${process.env.PULUMI_BACKEND_URL}/${values.stack}`
const headers = { authorization: `token ${process.env.PULUMI_ACCESS_TOKEN}` }

function fail(words) {
  process.stderr.write(`error: ${words}\n`)
  process.exit(255)
}

async function call(method, body) {
  const response = await fetch(address, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) })
  if (response.status === 409) fail('[409] Conflict: Another update is currently in progress.')
  if (!response.ok) fail(`the backend answered ${response.status}`)
  return response.json()
}

const wanted = () => JSON.parse(readFileSync('resources.json', 'utf8'))
const urnOf = (name) => `urn:pulumi:${values.stack}::shop::test:index:Thing::${name}`

function stepsTo(before, after) {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].sort().map((name) => {
    const op = !(name in before)
      ? 'create'
      : !(name in after)
        ? 'delete'
        : before[name] === after[name]
          ? 'same'
          : 'update'
    return { op, urn: urnOf(name), diffReasons: op === 'update' ? ['value'] : null }
  })
}

function show(steps) {
  const changeSummary = {}
  for (const { op } of steps) changeSummary[op] = (changeSummary[op] ?? 0) + 1
  process.stdout.write(JSON.stringify({ steps, changeSummary }))
}

const stack = await call('GET')
const key = createHash('sha256').update(passphrase).digest('hex')
if (stack.key !== null && stack.key !== key) fail('incorrect passphrase')

async function update(kind, resources, steps) {
  await call('PUT', { kind, resources, key })
  process.stdout.write(`passphrase ${passphrase}: ${steps.length} steps\n`)
}

if (verb === 'preview') {
  const steps = stepsTo(stack.resources, wanted())
  const resourcePlans = Object.fromEntries(steps.map(({ op, urn }) => [urn, { goal: {}, steps: [op] }]))
  writeFileSync(values['save-plan'], JSON.stringify({ manifest: {}, resourcePlans }))
  show(steps)
} else if (verb === 'up') {
  const { resourcePlans } = JSON.parse(readFileSync(values.plan, 'utf8'))
  const steps = stepsTo(stack.resources, wanted())
  for (const { op, urn } of steps)
    if (resourcePlans[urn]?.steps[0] !== op) fail(`resource ${urn} violates plan: ${op} is not allowed`)
  await update('update', wanted(), steps)
} else if (verb === 'destroy' || verb === 'refresh') {
  const after = verb === 'destroy' ? {} : stack.resources
  const steps = stepsTo(stack.resources, after)
  if (values['preview-only']) show(steps)
  else await update(verb, after, steps)
} else if (verb === 'stack history') {
  process.stdout.write(JSON.stringify(stack.updates.slice(-1)))
} else if (verb === 'stack output') {
  const entries = Object.entries(stack.resources)
  const shown = entries.map(([name, value]) => [name, value.startsWith('!') ? '[secret]' : value])
  process.stdout.write(JSON.stringify(Object.fromEntries(shown)))
} else if (verb === 'cancel') await call('DELETE')
else fail(`unknown command "${verb}"`)
