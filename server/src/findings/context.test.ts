import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDraws } from '../../test/support/draws.ts'
import { gitIn, openFindingsWorld } from '../../test/support/findings-world.ts'
import { newPaymentsKey } from '../../test/support/leaky-project.ts'
import { rotationOf } from './rotation.ts'

const draws = createDraws('context')

test('DISC-3: the lines around a value are shown, and neither it nor any other value', async (t) => {
  const { write, scan, findings } = await openFindingsWorld(t)
  const value = newPaymentsKey()
  const other = draws.vaultToken()
  const missed = draws.text(9)
  const lines = [
    '# settings of the shop',
    `VAULT_TOKEN=${other}`,
    `STRIPE_KEY=${value}`,
    `admin_password: ${missed}`,
    'PORT=8080',
    'NAME=shop',
  ]
  write('.env', `${lines.join('\n')}\n`)
  const finding = (await scan()).find(({ provider }) => provider === 'stripe')
  const { contexts } = await findings.explain(finding?.id ?? '')
  assert.deepEqual(
    contexts[0]?.lines.map(({ line, holds }) => [line, holds]),
    [
      [1, false],
      [2, false],
      [3, true],
      [4, false],
      [5, false],
    ],
  )
  const text = contexts[0]?.lines.map((line) => line.text).join('\n') ?? ''
  for (const secret of [value, other, missed]) assert.ok(!text.includes(secret), text)
  assert.match(text, /^# settings of the shop\nVAULT_TOKEN=.*\*\*\*\*/)
  assert.match(text, /\nSTRIPE_KEY=.*\*\*\*\*.*\nadmin_password: \*\*\*\*\nPORT=8080$/)
})

test('DISC-3: of a very long line the part around the value is shown', async (t) => {
  const { write, scan, findings } = await openFindingsWorld(t)
  const value = newPaymentsKey()
  write('app.min.js', `${'a();'.repeat(500)}const stripeKey="${value}";${'b();'.repeat(500)}\n`)
  const [finding] = await scan()
  const { contexts } = await findings.explain(finding?.id ?? '')
  const text = contexts[0]?.lines[0]?.text ?? ''
  assert.ok(text.length < 220 && text.includes('stripeKey') && !text.includes(value), text)
})

test('DISC-3: a file that changed since says so, and so does one that cannot be shown', async (t) => {
  const { write, scan, findings, remove } = await openFindingsWorld(t)
  write('.env', `STRIPE_KEY=${newPaymentsKey()}\n`)
  const [finding] = await scan()
  const id = finding?.id ?? ''
  write('.env', 'STRIPE_KEY=\n')
  const problemOf = async () => (await findings.explain(id)).contexts[0]?.problem
  assert.match((await problemOf()) ?? '', /does not hold it any more/)
  remove('.env')
  assert.match((await problemOf()) ?? '', /not there any more/)
  await assert.rejects(findings.explain('fnd_none'), { code: 'finding.not_found' })
})

test('DISC-5: what rotation can do is said as it is, for each kind of key', async (t) => {
  const { write, scan, findings, root } = await openFindingsWorld(t)
  gitIn(root, 'init', '--quiet')
  write('.env', `STRIPE_KEY=${newPaymentsKey()}\n`)
  gitIn(root, 'add', '--all')
  gitIn(root, 'commit', '--quiet', '--message', 'one')
  const [finding] = await scan(true)
  const { rotation } = await findings.explain(finding?.id ?? '')
  assert.equal(rotation.automatic, false)
  assert.equal(rotation.address, 'https://dashboard.stripe.com/apikeys')
  assert.match(
    rotation.steps.join(' '),
    /Keyward cannot do that for you.*git history shows the old one for ever/,
  )
  const database = rotationOf({ provider: 'database', rule: 'connection-string', inHistory: false })
  assert.match(database.steps.join(' '), /database engine/)
  const own = rotationOf({ provider: 'pem', rule: 'private-key', inHistory: false })
  assert.match(own.steps.join(' '), /Make a new key pair/)
})
