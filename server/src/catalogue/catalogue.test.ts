import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Json, PlanDraft } from '@keyward/contract'
import { z } from 'zod'
import { openWorld } from '../../test/support/world.ts'
import type { Principal } from '../core/index.ts'
import type { Plan } from '../workflow/index.ts'
import { createCatalogue, type Flow } from './catalogue.ts'
import { createFlowDocuments } from './documents.ts'
import { catalogueMigrations } from './documents-store.ts'
import { matchGoal, sayUsing } from './match-goal.ts'
import { readDocument } from './read-document.ts'

const ada: Principal = { kind: 'person', id: 'psn_ada', name: 'ada', roles: ['owner'] }

const nightly = `version: 1
title: Comment on a pull request
goals:
  - remind [me] of pull request {number} [in {repository}]
inputs:
  number: { type: integer, title: Number, minimum: 1 }
  repository: { type: string, title: Repository, default: acme/shop }
uses: deploy
with:
  number: { $input: number }
  environment: { $input: repository }
`

const plan = (flow: string, input: Json): Plan => ({ flow, title: `Plan of ${flow}`, input, tasks: [] })

const own: Flow = {
  name: 'deploy',
  title: 'Deploy',
  goals: ['deploy [pull request] {number}', 'ship {number}'],
  input: z.strictObject({ number: z.int(), environment: z.string().default('staging') }),
  plan: async (input) => plan('deploy', input),
}

async function open(t: TestContext) {
  const world = await openWorld(t, catalogueMigrations)
  const drafts: PlanDraft[] = []
  const documents = createFlowDocuments({
    ...world,
    taken: [own.name],
    completed: async (draft) => {
      drafts.push(draft)
      return plan(draft.flow, draft.input)
    },
    planOf: (name, input, by) => catalogue.plan(name, input, by),
  })
  const planned: Json[] = []
  const seen: Flow = {
    ...own,
    plan: async (input) => {
      planned.push(input)
      return plan('deploy', input)
    },
  }
  const catalogue = createCatalogue({ own: [seen], saved: documents.flows })
  return { ...world, documents, catalogue, planned, drafts }
}

test('WORK-1: a saved flow is data: its inputs are put in where it says so, and nowhere else', async (t) => {
  const { documents, catalogue, planned } = await open(t)
  const saved = await documents.save({ name: 'remind', text: nightly, after: 0 }, ada)
  assert.deepEqual([saved.version, saved.savedBy, saved.origin], [1, 'person:psn_ada', 'document'])
  await catalogue.plan('remind', { number: 7 }, ada)
  assert.deepEqual(planned, [{ number: 7, environment: 'acme/shop' }])
  for (const input of [{}, { number: 0 }, { number: 'x' }, { number: 1, other: 1 }])
    await assert.rejects(catalogue.plan('remind', input, ada), {
      code: 'run.plan_invalid',
      detail: /^input: /,
    })
  await assert.rejects(catalogue.plan('constructor', {}, ada), {
    code: 'run.plan_invalid',
    detail: /deploy, remind/,
  })
  await assert.rejects(catalogue.find('nothing'), { code: 'flow.not_found' })
})

const tasks = `version: 1
title: Comment
inputs: { number: { type: integer, title: Number } }
tasks:
  - id: look
    action: github.get-pull-request
    args: { connection: hub, number: { $input: number } }
  - id: comment
    action: github.comment
    needs: [look]
    args: { connection: hub, number: { $input: number }, body: { $from: look, path: title } }
`

test('WORK-1: tasks of a document are a draft, which its actions make whole; what one gives another takes', async (t) => {
  const { documents, catalogue, drafts } = await open(t)
  await documents.save({ name: 'comment', text: tasks }, ada)
  await catalogue.plan('comment', { number: 7 }, ada)
  assert.deepEqual(
    drafts[0]?.tasks.map(({ args }) => args),
    [
      { connection: 'hub', number: 7 },
      { connection: 'hub', number: 7, body: { $from: 'look', path: 'title' } },
    ],
  )
  const faults = await documents.validate(tasks.replace('id: look', 'id: Look!'))
  assert.ok(faults.some(({ line }) => line === 5))
})

test('WORK-1: every fault of a document has its line and column, and such a document is not saved', async (t) => {
  const { documents, audit } = await open(t)
  const at = async (text: string) =>
    (await documents.validate(text)).map(({ line, column, message }) => `${line}:${column} ${message}`)
  const faults: [string, RegExp][] = [
    [nightly.replace('minimum: 1', 'minimum: one'), /^6:\d+ inputs\.number\.minimum: /],
    [
      nightly.replace('{ $input: repository }', '{ $input: other }'),
      /^11:\d+ \$input: there is no input 'other'/,
    ],
    [nightly.replace('{number} [in', '{name} [in'), /^4:\d+ \{name\} is no input/],
    [nightly.replace('[me]', '[me'), /^4:\d+ '\]' is missing/],
    [nightly.replace('title: Comment', 'titel: Comment'), /^2:\d+ titel: Unrecognized key|^1:1 title: /],
    [nightly.replace('default: acme/shop', 'default: 5'), /^7:\d+ inputs\.repository\.default: does not fit/],
    [nightly.replace('uses: deploy', 'tasks: []'), /belongs to 'uses'|tasks: Too small/],
    ['version: 1\ntitle: [', /^2:/],
    ['version: 1\nversion: 1\n', /^2:1 Map keys must be unique/],
    ['title: !!js/function "x"\n', /./],
    ['', /^1:1 /],
  ]
  for (const [text, expected] of faults) {
    const found = await at(text)
    assert.ok(
      found.some((one) => expected.test(one)),
      `${expected} in ${found.join(' | ')}`,
    )
    await assert.rejects(documents.save({ name: 'x', text }, ada), { code: 'flow.invalid' })
  }
  assert.deepEqual(await at(nightly), [])
  assert.deepEqual(
    await at(JSON.stringify({ version: 1, title: 'Ship it', uses: 'deploy', with: { number: 1 } })),
    [],
  )
  assert.equal((await audit.page({ type: 'flow.saved', order: 'asc', limit: 10 })).items.length, 0)
})

test('WORK-1: aliases that would grow without end are refused', () => {
  const lines = ['a: &a [x, x, x, x, x, x, x, x, x]']
  for (let i = 1; i < 9; i++) {
    const [one, before] = [String.fromCharCode(97 + i), String.fromCharCode(96 + i)]
    lines.push(`${one}: &${one} [${Array(9).fill(`*${before}`).join(', ')}]`)
  }
  assert.ok(readDocument(lines.join('\n')).problems.length > 0)
})

test('WORK-1: versions count up; who saves over what somebody else saved is told, and a removed flow is gone', async (t) => {
  const { documents, catalogue, audit } = await open(t)
  await documents.save({ name: 'remind', text: nightly, after: 0 }, ada)
  assert.equal((await documents.save({ name: 'remind', text: nightly, after: 1 }, ada)).version, 2)
  await assert.rejects(documents.save({ name: 'remind', text: nightly, after: 1 }, ada), {
    code: 'request.conflict',
  })
  await assert.rejects(documents.save({ name: 'deploy', text: nightly }, ada), {
    code: 'flow.invalid',
    detail: /own/,
  })
  await documents.remove('remind', ada)
  await assert.rejects(documents.remove('remind', ada), { code: 'flow.not_found' })
  assert.deepEqual(
    (await catalogue.all()).map(({ name }) => name),
    ['deploy'],
  )
  assert.equal((await documents.save({ name: 'remind', text: nightly }, ada)).version, 3)
  const { items } = await audit.page({ type: 'flow.saved', order: 'asc', limit: 10 })
  assert.deepEqual(
    items.map(({ target, actor }) => [target, actor]),
    Array(3).fill(['flow:remind', 'person:psn_ada']),
  )
})

test('WORK-1: a document that uses a flow gives it a part of its input; a circle of them is refused', async (t) => {
  const { documents, catalogue } = await open(t)
  const uses = (name: string, inside: string) => `version: 1
title: Ship to production
inputs: { number: { type: integer, title: Number } }
uses: ${name}
with: ${inside}
`
  await documents.save(
    { name: 'ship', text: uses('deploy', '{ number: { $input: number }, environment: production }') },
    ada,
  )
  assert.deepEqual(await catalogue.plan('ship', { number: 3 }, ada), {
    flow: 'ship',
    title: 'Ship to production: Plan of deploy',
    input: { number: 3 },
    tasks: [],
  })
  await documents.save({ name: 'one', text: uses('two', '{ number: { $input: number } }') }, ada)
  await documents.save({ name: 'two', text: uses('one', '{ number: { $input: number } }') }, ada)
  await assert.rejects(catalogue.plan('one', { number: 3 }, ada), {
    code: 'run.plan_invalid',
    detail: /without end/,
  })
})

test('WORK-1: a goal means the flow that its words fit best; several that fit equally are several', () => {
  const other: Flow = { ...own, name: 'deploy-slowly', goals: ['deploy {number}'] }
  const one = matchGoal('Deploy pull request #12', [own, other])
  assert.deepEqual(one.kind === 'one' && [one.match.flow.name, one.match.input], [
    'deploy',
    { number: 12, environment: 'staging' },
  ])
  const several = matchGoal('deploy 12', [own, other])
  assert.deepEqual(several.kind === 'several' && several.matches.map(({ flow }) => flow.name), [
    'deploy',
    'deploy-slowly',
  ])
  const document = { version: 1, savedBy: 'person:ada', savedAt: new Date(0), text: '' }
  const mine = matchGoal('deploy 12', [own, { ...other, document }])
  assert.equal(
    mine.kind === 'one' && mine.match.flow.name,
    'deploy-slowly',
    'what somebody saved comes first',
  )
  const said = matchGoal(sayUsing('deploy 12', 'deploy-slowly'), [own, other])
  assert.equal(said.kind === 'one' && said.match.flow.name, 'deploy-slowly')
  assert.deepEqual(matchGoal('make coffee', [own]), { kind: 'none', nearest: [] })
  const near = matchGoal('deploy everything', [own])
  assert.ok(near.kind === 'none' && /deploy: number/.test(near.nearest[0] ?? ''))
  assert.equal(matchGoal('deploy 12 using nothing', [own]).kind, 'none')
})
