import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Secret } from '../../src/core/index.ts'
import { checkedCidrs, containsAddress, outsideOf } from '../../src/vault/cidr.ts'
import { formatDuration, parseDuration } from '../../src/vault/duration.ts'
import {
  booleanField,
  countField,
  durationField,
  listField,
  parseBody,
  textField,
  textMapField,
} from '../../src/vault/fields.ts'
import { makeKey, shareBytes } from '../../src/vault/seal/new-key.ts'
import { combineShares } from '../../src/vault/seal/shamir.ts'
import { type Fuzzed, mutated, refusesInWords } from './fuzzed.ts'

const refusal = ['request.invalid'] as const
const ipv4 = fc.ipV4().map((text) => ({ text, value: valueOfV4(text) }))
const valueOfV4 = (text: string): number => text.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)

const units = [
  ['s', 1],
  ['m', 60],
  ['h', 3600],
  ['d', 86_400],
] as const

export const valueProperties: readonly Fuzzed[] = [
  {
    name: 'durations: a whole number of seconds that can be counted with, or a refusal',
    property: fc.property(
      fc.oneof(
        fc.string({ maxLength: 30 }),
        fc.integer(),
        fc.double(),
        fc.bigInt({ min: 0n, max: 10n ** 400n }).map(String),
        mutated(['1h30m', '7d', '90', '1.5h', '100ms', '-1s', '1µs']),
        fc.constantFrom(true, false, {}, []),
      ),
      (value) =>
        refusesInWords(() => {
          const seconds = parseDuration(value, 'ttl')
          assert.ok(seconds === undefined || (Number.isSafeInteger(seconds) && seconds >= 0), String(seconds))
        }, refusal),
    ),
  },
  {
    name: 'durations: parts and fractions are added up exactly',
    property: fc.property(
      fc.array(
        fc.record({
          whole: fc.nat(9999),
          cents: fc.integer({ min: 0, max: 99 }),
          unit: fc.constantFrom(...units),
        }),
        { minLength: 1, maxLength: 3 },
      ),
      (parts) => {
        const text = parts.map(
          ({ whole, cents, unit: [name] }) => `${whole}.${String(cents).padStart(2, '0')}${name}`,
        )
        const hundredths = parts.reduce(
          (sum, { whole, cents, unit }) => sum + (whole * 100 + cents) * unit[1],
          0,
        )
        assert.equal(parseDuration(text.join(''), 'ttl'), Math.floor(hundredths / 100))
      },
    ),
  },
  {
    name: 'durations: what is printed is read as the same',
    property: fc.property(fc.nat(2 ** 31), (seconds) => {
      assert.equal(parseDuration(formatDuration(seconds), 'ttl'), seconds)
    }),
  },
  {
    name: 'CIDR: IPv4 blocks hold the addresses that arithmetic says, also as a socket of both versions shows them',
    property: fc.property(ipv4, ipv4, fc.integer({ min: 0, max: 32 }), (block, address, prefix) => {
      const size = 2 ** (32 - prefix)
      const expected = Math.floor(block.value / size) === Math.floor(address.value / size)
      const cidr = checkedCidrs([` ${block.text}/${prefix} `], 'cidrs')
      assert.equal(containsAddress(cidr, address.text), expected)
      assert.equal(containsAddress(cidr, `::ffff:${address.text}`), expected)
    }),
  },
  {
    name: 'CIDR: a block within another holds nothing that the outer one does not',
    property: fc.property(
      ipv4,
      fc.integer({ min: 0, max: 32 }),
      ipv4,
      fc.integer({ min: 0, max: 32 }),
      ipv4,
      (inner, innerPrefix, outer, outerPrefix, address) => {
        const inside = [`${inner.text}/${innerPrefix}`]
        const around = [`${outer.text}/${outerPrefix}`]
        if (outsideOf(inside, around) !== undefined) return
        if (containsAddress(inside, address.text)) assert.ok(containsAddress(around, address.text))
      },
    ),
  },
  {
    name: 'CIDR: any text is a block or refused',
    property: fc.property(
      fc.oneof(
        fc.string(),
        fc.ipV6(),
        mutated(['10.0.0.0/8', '::1/128', 'fe80::1%eth0/64', '1.2.3.4', '::ffff:10.0.0.1/104']),
      ),
      fc.oneof(fc.ipV4(), fc.ipV6(), fc.string()),
      (cidr, address) =>
        refusesInWords(() => containsAddress(checkedCidrs([cidr], 'cidrs'), address), refusal),
    ),
  },
  {
    name: 'bodies: any text is an object or refused, without a word of it, and no field leaves its kind',
    property: fc.property(
      fc.oneof(
        fc.json(),
        fc.string({ unit: 'binary' }),
        mutated(['{"a":1,"__proto__":{"x":1}}', '{"a":"b","c":["d"],"e":{"f":true}}', 'null']),
      ),
      (text) =>
        refusesInWords(() => {
          const body = parseBody(new Secret(text))
          assert.equal(Reflect.get({}, 'x'), undefined, 'the prototype of all objects is as it was')
          for (const name of Object.keys(body)) {
            refusesInWords(() => textField(body, name), refusal)
            refusesInWords(() => booleanField(body, name), refusal)
            refusesInWords(() => {
              const count = countField(body, name)
              assert.ok(count === undefined || Number.isSafeInteger(count))
            }, refusal)
            refusesInWords(() => listField(body, name), refusal)
            refusesInWords(() => textMapField(body, name), refusal)
            refusesInWords(() => durationField(body, name), refusal)
          }
        }, refusal),
    ),
  },
  {
    name: 'shares: any text is bytes or nothing',
    property: fc.property(fc.string({ unit: 'binary' }), (text) => {
      const bytes = shareBytes(text)
      assert.ok(bytes === undefined || Buffer.isBuffer(bytes))
    }),
  },
  {
    name: 'shares: any threshold of them gives the key, and one too few or one foreign does not',
    property: fc.asyncProperty(
      fc.integer({ min: 2, max: 9 }),
      fc.integer({ min: 2, max: 9 }),
      fc.nat(),
      async (a, b, shift) => {
        const [shares, threshold] = [Math.max(a, b), Math.min(a, b)]
        const made = await makeKey({ shares, threshold }, 'test')
        const parts = made.shares.map((share) => Buffer.from(share.reveal(), 'hex'))
        const chosen = Array.from(
          { length: threshold },
          (_, i) => parts[(i + shift) % shares] ?? Buffer.alloc(0),
        )
        assert.deepEqual(await combineShares(chosen, threshold), made.key)
        const foreign = (await makeKey({ shares, threshold }, 'test')).shares[shift % shares]
        const mixed = [...chosen.slice(1), Buffer.from(foreign?.reveal() ?? '', 'hex')]
        assert.notDeepEqual(await combineShares(mixed, threshold), made.key)
        if (threshold > 2) assert.notDeepEqual(await combineShares(chosen.slice(1), threshold), made.key)
      },
    ),
  },
]
