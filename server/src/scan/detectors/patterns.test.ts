// Every detector with an expression of its own against a made-up credential of its form, against the same in its usual surroundings, and against
// what only looks like it. Nothing here is real: bodies are drawn at run time, the same in every run.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDraws } from '../../../test/support/draws.ts'
import { checksumOf } from '../checks.ts'
import { createEngine } from '../engine.ts'
import { detectors } from './index.ts'
import { specialForms } from './special-forms.ts'
import { standardForms } from './standard-forms.ts'

const lower = 'abcdefghijklmnopqrstuvwxyz'
const draws = createDraws('patterns')
const alphabets = {
  hex: '0123456789abcdef',
  an: `0123456789${lower}${lower.toUpperCase()}`,
  lowerAn: `0123456789${lower}`,
  upperAn: `0123456789${lower.toUpperCase()}`,
  letters: lower + lower.toUpperCase(),
  digit: '0123456789',
  base32: `${lower.toUpperCase()}234567`,
  bech32: 'QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L',
} as const

function draw(alphabet: keyof typeof alphabets, length: number): string {
  return draws.text(length, alphabets[alphabet])
}
const hex = (length: number): string => draw('hex', length)
const an = (length: number): string => draw('an', length)
const digits = (length: number): string => draw('digit', length)
const uuid = (): string => `${hex(8)}-${hex(4)}-4${hex(3)}-a${hex(3)}-${hex(12)}`
const checked = (prefix: string): string => {
  const body = an(30)
  return prefix + body + checksumOf(body)
}
const json = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
const jwt = (payload: object): string => `${json({ alg: 'HS256', typ: 'JWT' })}.${json(payload)}.${an(43)}`
/** As long as it says it is, or with the mark that its kind begins with. */
const pem = (kind: string): string => {
  const mark = kind.startsWith('OPENSSH') ? Buffer.from('openssh-key-v1\0') : Buffer.from([0x30, 0x82, 2, 0])
  const body = Buffer.concat([mark, draws.bytes(512)]).toString('base64')
  return `-----BEGIN ${kind}-----\n${body.replace(/.{64}(?=.)/g, '$&\n')}\n-----END ${kind}-----`
}

/** What each rule must find, as `[text, value]`, or a text that is the value. */
const samples: Record<string, () => (string | [string, string])[]> = {
  'npm-legacy-token': () => {
    const value = uuid()
    return [[`//registry.npmjs.org/:_authToken=${value}`, value]]
  },
  'aws-secret-access-key': () => {
    const value = an(40)
    return [
      [`aws_secret_access_key = ${value}`, value],
      [`"SecretAccessKey": "${value}"`, value],
      [`AKIA${draw('base32', 16)},${value}`, value],
      [`{ id: 'AKIA${draw('base32', 16)}',\n  value: '${value}' }`, value],
    ]
  },
  'aws-session-token': () => {
    const value = `IQoJ${an(300)}`
    return [[`AWS_SESSION_TOKEN=${value}`, value]]
  },
  'azure-storage-key': () => {
    const value = `${an(86)}==`
    return [
      [
        `DefaultEndpointsProtocol=https;AccountName=shop;AccountKey=${value};EndpointSuffix=core.windows.net`,
        value,
      ],
    ]
  },
  'azure-sas-token': () => {
    const value = `${an(43)}%3D`
    return [
      [
        `https://shop.blob.core.windows.net/c?sv=2024-11-04&ss=b&srt=co&sp=r&se=2027-01-01&sig=${value}`,
        value,
      ],
    ]
  },
  'azure-client-secret': () => [`${an(3)}8Q~${an(34)}`],
  'lambda-labs-api-key': () => [`secret_shop_${hex(32)}.${an(32)}`],
  'openai-api-key': () => [`sk-${an(20)}T3BlbkFJ${an(20)}`, `sk-proj-${an(58)}T3BlbkFJ${an(58)}`],
  'sk-api-key': () => [`sk-${hex(32)}`],
  'adyen-api-key': () => [`AQEx${an(90)}-${an(44)}-${an(16)}`],
  'slack-token': () => [`xoxb-${digits(12)}-${digits(12)}-${an(24)}`],
  'slack-app-token': () => [`xapp-1-A${draw('upperAn', 10)}-${digits(13)}-${hex(64)}`],
  'discord-bot-token': () => {
    const value = `M${an(23)}.${an(6)}.${an(38)}`
    return [[`DISCORD_TOKEN=${value}`, value]]
  },
  'teams-webhook': () => [
    `https://shop.webhook.office.com/webhookb2/${uuid()}@${uuid()}/IncomingWebhook/${hex(32)}/${uuid()}`,
  ],
  'twilio-auth-token': () => {
    const value = hex(32)
    return [
      [`Client('AC${hex(32)}', '${value}')`, value],
      [`account_sid = "AC${hex(32)}"\nauth = "${value}"`, value],
    ]
  },
  'vault-legacy-token': () => {
    const value = `s.${an(24)}`
    return [[`VAULT_TOKEN=${value}`, value]]
  },
  'dropbox-token': () => [`sl.${an(140)}`],
  'asana-token': () => [`1/120${digits(13)}:${hex(32)}`],
  'private-key': () => [
    pem('PRIVATE KEY'),
    pem('RSA PRIVATE KEY'),
    pem('OPENSSH PRIVATE KEY'),
    pem('EC PRIVATE KEY'),
  ],
  'putty-private-key': () => [
    `PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nPublic-Lines: 1\n${an(64)}\nPrivate-Lines: 1\n${an(64)}\nPrivate-MAC: ${hex(64)}`,
  ],
  'gcp-service-account-key': () => {
    const key = pem('PRIVATE KEY')
    const text = JSON.stringify(
      { type: 'service_account', project_id: 'shop', private_key: `${key}\n` },
      undefined,
      2,
    )
    return [[text, `${key}\n`]]
  },
  'json-web-token': () => [jwt({ sub: an(12), iat: 1_790_000_000 })],
  'connection-string': () => [
    `postgres://shop:${an(20)}@db.shop.internal:5432/shop`,
    `mongodb+srv://u:${an(16)}@c0.mongodb.net/x`,
  ],
  'basic-auth-url': () => [`https://deploy:${an(20)}@git.shop.internal/shop.git`],
  'database-password': () => {
    const value = an(18)
    return [[`Server=db;Database=shop;User Id=sa;Password=${value};`, value]]
  },
  'curl-password': () => {
    const value = an(16)
    return [[`curl -sS -u deploy:${value} https://shop.internal/`, value]]
  },
  'login-password': () => {
    const value = `${an(14)}7q`
    return [[`docker login -u ci -p ${value} registry.shop.internal`, value]]
  },
  'registry-auth': () => {
    const value = Buffer.from(`robot:${an(21)}`).toString('base64')
    return [[`{"auths":{"registry.shop.internal":{"auth":"${value}"}}}`, value]]
  },
  'authorization-header': () => {
    const value = an(40)
    return [[`curl -H "Authorization: Bearer ${value}"`, value]]
  },
  'power-automate-webhook': () => [
    `https://prod-12.westeurope.logic.azure.com:443/workflows/${hex(32)}/triggers/manual/paths/invoke?api-version=2016-06-01&sp=%2Ftriggers&sv=1.0&sig=${an(43)}`,
  ],
  'cloudinary-url': () => {
    const value = an(27)
    return [[`CLOUDINARY_URL=cloudinary://${digits(15)}:${value}@shop`, value]]
  },
  'sentry-dsn-secret': () => {
    const value = hex(32)
    return [[`https://${hex(32)}:${value}@o12.ingest.sentry.io/34`, value]]
  },
  'kubeconfig-client-key': () => {
    const value = Buffer.from(pem('RSA PRIVATE KEY')).toString('base64')
    return [[`    client-key-data: ${value}`, value]]
  },
  'convex-deploy-key': () => [`preview:acme:shop-site|${an(120)}`, `project:acme:shop-site|${an(90)}==`],
  'roblox-cookie': () => {
    const value = draw('upperAn', 600)
    const warning = '--Sharing-this-will-allow-someone-to-log-in-as-you-and-to-steal-your-ROBUX-and-items.'
    return [[`_|WARNING:-DO-NOT-SHARE-THIS.${warning}|_${value}`, value]]
  },
}

const engine = createEngine({ detectors, fingerprintKey: Buffer.alloc(32, 7) })
const ruleNames = [...new Set([...specialForms, ...standardForms].map(({ rule }) => rule))]

function found(text: string, file = 'notes.txt'): { rule: string; value: string }[] {
  return engine
    .detect({ bytes: Buffer.from(text), file })
    .map(({ rule, value }) => ({ rule, value: value.reveal() }))
}

for (const rule of ruleNames) {
  test(`DISC-2: ${rule} is found`, () => {
    const made = samples[rule]?.() ?? []
    assert.ok(made.length > 0, 'every rule has a sample')
    for (const sample of made) {
      const [text, value] = typeof sample === 'string' ? [sample, sample] : sample
      const expected = value.startsWith('-----BEGIN') && !value.endsWith('\n') ? `${value}\n` : value
      for (const surrounded of [text, `x = '${text}'\n`, `first\n"${text}",\nlast`]) {
        const hits = found(surrounded)
        assert.ok(
          hits.some((hit) => hit.rule === rule && hit.value === expected),
          `${rule} in ${surrounded.replaceAll(value, '<value>')}: saw ${hits.map((hit) => hit.rule)}`,
        )
      }
    }
  })

  test(`DISC-2: ${rule} ignores the same form filled with x, or shown as an example`, () => {
    for (const sample of samples[rule]?.() ?? []) {
      const [text, value] = typeof sample === 'string' ? [sample, sample] : sample
      if (value.startsWith('-----BEGIN') || value.includes('://') || value.includes('PuTTY')) continue
      const keep = Math.ceil(value.length / 3)
      const crossed = value.slice(0, keep) + 'x'.repeat(value.length - keep)
      assert.deepEqual(
        found(text.replace(value, crossed)).filter((hit) => hit.rule === rule),
        [],
      )
    }
  })
}

test('DISC-2: a private key is one value as a file, inside JSON and indented in YAML', () => {
  const key = pem('PRIVATE KEY')
  const prints = [
    [`${key}\n`, 'key.pem'],
    [JSON.stringify({ tls: { key: `${key}\n` } }), 'a.json'],
    [`tls:\n  key: |\n${key.replaceAll(/^/gm, '    ')}\n`, 'a.yaml'],
    [Buffer.from(`${key}\n`).toString('base64'), 'b.txt'],
  ].map(([text = '', file = '']) =>
    engine.detect({ bytes: Buffer.from(text), file }).map((f) => f.fingerprint),
  )
  assert.equal(new Set(prints.flat()).size, 1)
  assert.ok(prints.every((each) => each.length === 1))
})

test('DISC-2: a credential inside base64 is found, once, and marked as wrapped', () => {
  const token = checked('ghp_')
  for (const lead of ['', 'a', 'ab']) {
    const text = `data: ${Buffer.from(`${lead}=${token}`).toString('base64')}\n`
    const findings = engine.detect({ bytes: Buffer.from(text), file: 'secret.yaml' })
    assert.deepEqual(
      findings.map(({ value, place }) => [value.reveal(), place.wrapping]),
      [[token, 'base64']],
    )
  }
})
