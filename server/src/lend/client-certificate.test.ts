import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { newClientCertificate } from '../../test/support/client-certificate.ts'
import { entries, lent, openLendWorld } from '../../test/support/lend-world.ts'
import { createTestClock } from '../../test/support/world.ts'

const shop = newClientCertificate('shop')
const injection = { kind: 'client-certificate', certificateField: 'certificate' } as const

/** A secret with these fields, lent as a certificate. */
async function opened(t: TestContext, fields: Record<string, string>) {
  const world = await openLendWorld(t, { clock: createTestClock(new Date(Date.now() + 60_000)) })
  world.vault.fields = fields
  const { claim } = await lent(world, {}, { injection })
  const use = (places = ['header:keyward-lease']) => world.lend.use({ ...claim, places })
  return { world, use }
}

test('LEND-2: a private key is lent with its certificate, for the header that asks for it and no other place', async (t) => {
  const { world, use } = await opened(t, { value: shop.keyPem, certificate: shop.certificatePem })
  const used = await use()
  assert.deepEqual([used.value.reveal(), used.certificatePem], [shop.keyPem, shop.certificatePem])
  await assert.rejects(use(['bearer']), {
    code: 'egress.denied',
    detail: /by the header Keyward-Lease; it was sent in bearer/,
  })
  await assert.rejects(use(['header:keyward-lease', 'body:/a']), { code: 'egress.denied' })
  assert.equal((await entries(world, 'lease.used')).length, 1)
})

for (const [what, fields, code, words] of [
  ['no certificate', { value: shop.keyPem }, 'secret.not_found', /has no field certificate/],
  [
    'a text for a certificate',
    { value: shop.keyPem, certificate: 'none' },
    'lease.unusable',
    /no certificate, PEM/,
  ],
  [
    'a text for a key',
    { value: 'a-text', certificate: shop.certificatePem },
    'lease.unusable',
    /no private key, PEM/,
  ],
] as const) {
  test(`LEND-2: ${what} is said to be that`, async (t) => {
    const { world, use } = await opened(t, fields)
    await assert.rejects(use(), { code, detail: words })
    const failed = (await entries(world, 'lease.used')).filter(({ outcome }) => outcome === 'failed')
    assert.equal(failed.length, 1)
  })
}

test('LEND-2: a certificate of another key is said to be one, without a word of either', async (t) => {
  const other = newClientCertificate('other')
  const { world, use } = await opened(t, { value: other.keyPem, certificate: shop.certificatePem })
  await assert.rejects(use(), { code: 'lease.unusable', detail: /is not one of the lent private key/ })
  const written = JSON.stringify(await world.store.all({ text: 'select * from audit_entries', values: [] }))
  for (const line of other.keyPem.split('\n').filter((one) => one.length > 20 && !one.startsWith('-')))
    assert.ok(!written.includes(line))
})

test('LEND-2: a certificate whose time is over is said to be', async (t) => {
  const clock = createTestClock(new Date(Date.now() + 5 * 86_400_000))
  const world = await openLendWorld(t, { clock })
  world.vault.fields = { value: shop.keyPem, certificate: shop.certificatePem }
  const { claim } = await lent(world, {}, { injection })
  await assert.rejects(world.lend.use({ ...claim, places: ['header:keyward-lease'] }), {
    code: 'lease.unusable',
    detail: /is valid from .* to /,
  })
})
