#!/usr/bin/env node
// Stands in for the Terraform command: the flags and the JSON that its documents name, with the state in the file STATE_FILE. The
// configuration is `resources.json`: names and values; `!` before a value makes it sensitive. Terraform itself is tried in server/test.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'

const words = process.argv.slice(2)
const options = words.filter((word) => word.startsWith('-'))
const names = words.filter((word) => !word.startsWith('-'))
const optionOf = (name) => options.find((one) => one.startsWith(`-${name}=`))?.slice(name.length + 2)
const read = (file) => JSON.parse(readFileSync(file, 'utf8'))
const say = (value) => process.stdout.write(JSON.stringify(value))

const stateFile = process.env.STATE_FILE
const state = existsSync(stateFile) ? read(stateFile) : undefined
const isHidden = (value) => value?.startsWith('!') ?? false
const partsOf = (value) => (value === undefined ? null : { input: value })
const marksOf = (value) => (isHidden(value) ? { input: true } : {})

function actionFor(before, after) {
  if (before === undefined) return 'create'
  if (after === undefined) return 'delete'
  return before === after ? 'no-op' : 'update'
}

function changesTo(wanted) {
  const had = state?.resources ?? {}
  return [...new Set([...Object.keys(had), ...Object.keys(wanted)])].sort().map((name) => ({
    address: `terraform_data.${name}`,
    change: {
      actions: [actionFor(had[name], wanted[name])],
      before: partsOf(had[name]),
      after: partsOf(wanted[name]),
      after_unknown: {},
      before_sensitive: marksOf(had[name]),
      after_sensitive: marksOf(wanted[name]),
    },
  }))
}

function fail(said) {
  process.stderr.write(`Error: ${said}\n`)
  process.exit(1)
}

function plan() {
  const wanted = options.includes('-destroy') ? {} : read('resources.json')
  const changes = changesTo(wanted)
  const out = optionOf('out')
  if (out !== undefined)
    writeFileSync(out, JSON.stringify({ wanted, changes, serial: state?.serial ?? null }))
  const isSame = changes.every(({ change }) => change.actions[0] === 'no-op')
  if (options.includes('-detailed-exitcode') && !isSame) process.exitCode = 2
}

function apply(file) {
  const { wanted, serial } = read(file)
  if (serial !== (state?.serial ?? null)) fail('Saved plan is stale')
  writeFileSync(stateFile, JSON.stringify({ serial: (serial ?? 0) + 1, lineage: 'one', resources: wanted }))
}

function outputs() {
  const entries = Object.entries(state?.resources ?? {})
  return Object.fromEntries(entries.map(([name, value]) => [name, { value, sensitive: isHidden(value) }]))
}

const [verb, what] = names
if (verb === 'init') {
  mkdirSync('.terraform', { recursive: true })
  writeFileSync('.terraform/terraform.tfstate', '{"backend": {"type": "http"}}')
} else if (verb === 'plan') plan()
else if (verb === 'show')
  say({ format_version: '1.2', resource_changes: read(what).changes, output_changes: {} })
else if (verb === 'apply') apply(what)
else if (verb === 'output') say(outputs())
else if (verb === 'state' && state) say(state)
else if (verb !== 'state') fail(`unknown command "${verb}"`)
