// Every detector against a made-up credential of its form, against the same in its usual surroundings, and against
// what only looks like it. Nothing here is real: bodies are drawn at run time.
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { test } from 'node:test'
import { checksumOf } from '../checks.ts'
import type { Detector } from '../detector.ts'
import { createEngine } from '../engine.ts'
import { detectors } from './index.ts'

const lower = 'abcdefghijklmnopqrstuvwxyz'
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
  const from = alphabets[alphabet]
  return Array.from({ length }, () => from.charAt(randomInt(from.length))).join('')
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
const pem = (kind: string): string => {
  const lines = Array.from({ length: 12 }, () => an(64))
  return `-----BEGIN ${kind}-----\n${lines.join('\n')}\n-----END ${kind}-----`
}

/** What each rule must find, as `[text, value]`, or a text that is the value. */
const samples: Record<string, () => (string | [string, string])[]> = {
  'github-personal-access-token': () => [checked('ghp_')],
  'github-oauth-token': () => [checked('gho_')],
  'github-user-token': () => [checked('ghu_')],
  'github-app-token': () => [checked('ghs_')],
  'github-refresh-token': () => [checked('ghr_')],
  'github-fine-grained-token': () => [`github_pat_${an(22)}_${an(59)}`],
  'gitlab-token': () => [`glpat-${an(20)}`, `glrt-${an(20)}`, `gldt-${an(20)}`],
  'npm-token': () => [checked('npm_')],
  'npm-legacy-token': () => {
    const value = uuid()
    return [[`//registry.npmjs.org/:_authToken=${value}`, value]]
  },
  'pypi-token': () => [`pypi-AgEIcHlwaS5vcmc${an(120)}`],
  'rubygems-token': () => [`rubygems_${hex(48)}`],
  'crates-io-token': () => [`cio${an(32)}`],
  'docker-hub-token': () => [`dckr_pat_${an(27)}`],
  'jfrog-token': () => [`cmVmdGtu${an(56)}`, `AKCp${an(69)}`],
  'bitbucket-app-password': () => [`ATBB${an(28)}${hex(4).toUpperCase()}`],
  'atlassian-token': () => [`ATATT3xFfG${an(180)}`],
  'circleci-token': () => [`CCIPAT_${an(22)}_${hex(40)}`],
  'sonar-token': () => [`squ_${hex(40)}`],
  'nuget-api-key': () => [`oy2${draw('lowerAn', 43)}`],
  'aws-access-key-id': () => [`AKIA${draw('base32', 16)}`, `ASIA${draw('base32', 16)}`],
  'aws-secret-access-key': () => {
    const value = an(40)
    return [
      [`aws_secret_access_key = ${value}`, value],
      [`"SecretAccessKey": "${value}"`, value],
      [`AKIA${draw('base32', 16)},${value}`, value],
    ]
  },
  'aws-session-token': () => {
    const value = `IQoJ${an(300)}`
    return [[`AWS_SESSION_TOKEN=${value}`, value]]
  },
  'aws-bedrock-api-key': () => [`ABSKQmVkcm9ja0FQSUtleS${an(110)}`],
  'google-api-key': () => [`AIza${an(35)}`],
  'google-oauth-client-secret': () => [`GOCSPX-${an(28)}`],
  'google-oauth-refresh-token': () => [`1//0${an(60)}`],
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
  'azure-devops-token': () => [`${an(76)}AZDO${an(4)}`],
  'digitalocean-token': () => [`dop_v1_${hex(64)}`],
  'heroku-api-key': () => {
    const value = uuid()
    return [`HRKU-${uuid()}`, [`HEROKU_API_KEY=${value}`, value]]
  },
  'cloudflare-api-token': () => {
    const value = an(40)
    return [[`CLOUDFLARE_API_TOKEN=${value}`, value]]
  },
  'cloudflare-origin-ca-key': () => [`v1.0-${hex(24)}-${hex(146)}`],
  'alibaba-access-key-id': () => [`LTAI${an(20)}`],
  'tencent-secret-id': () => [`AKID${an(32)}`],
  'fly-token': () => [`fo1_${an(43)}`, `fm2_${an(160)}`],
  'netlify-token': () => [`nfp_${an(36)}`],
  'vercel-token': () => {
    const value = an(24)
    return [`vcp_${an(56)}`, [`VERCEL_TOKEN=${value}`, value]]
  },
  'scaleway-secret-key': () => [`SCW1${draw('upperAn', 16)}`],
  'render-api-key': () => [`rnd_${an(28)}`],
  'lambda-labs-api-key': () => [`secret_shop_${hex(32)}.${an(32)}`],
  'openai-api-key': () => [`sk-${an(20)}T3BlbkFJ${an(20)}`, `sk-proj-${an(58)}T3BlbkFJ${an(58)}`],
  'anthropic-api-key': () => [`sk-ant-api03-${an(93)}AA`],
  'openrouter-api-key': () => [`sk-or-v1-${hex(64)}`],
  'sk-api-key': () => [`sk-${hex(32)}`],
  'huggingface-token': () => [`hf_${draw('letters', 34)}`],
  'replicate-token': () => [`r8_${an(37)}`],
  'groq-api-key': () => [`gsk_${an(52)}`],
  'perplexity-api-key': () => [`pplx-${an(48)}`],
  'xai-api-key': () => [`xai-${an(80)}`],
  'langsmith-api-key': () => [`lsv2_pt_${hex(32)}_${hex(10)}`],
  'pinecone-api-key': () => [`pcsk_${an(6)}_${an(62)}`],
  'nvidia-api-key': () => [`nvapi-${an(64)}`],
  'tavily-api-key': () => [`tvly-${an(32)}`],
  'cohere-api-key': () => {
    const value = an(40)
    return [[`CO_API_KEY=${value}`, value]]
  },
  'mistral-api-key': () => {
    const value = an(32)
    return [[`mistral_api_key: "${value}"`, value]]
  },
  'stripe-secret-key': () => [`sk_live_${an(24)}`, `rk_live_${an(99)}`],
  'stripe-test-key': () => [`sk_test_${an(24)}`],
  'stripe-webhook-secret': () => [`whsec_${an(32)}`],
  'shopify-token': () => [`shpat_${hex(32)}`],
  'square-token': () => [`EAAA${an(60)}`, `sq0atp-${an(22)}`],
  'braintree-access-token': () => [`access_token$production$${draw('lowerAn', 16)}$${hex(32)}`],
  'paypal-client-secret': () => {
    const value = `E${an(79)}`
    return [[`PAYPAL_CLIENT_SECRET=${value}`, value]]
  },
  'razorpay-key': () => [`rzp_live_${an(14)}`],
  'adyen-api-key': () => [`AQEx${an(90)}-${an(44)}-${an(16)}`],
  'flutterwave-secret-key': () => [`FLWSECK-${hex(32)}-X`],
  'plaid-token': () => [`access-production-${uuid()}`],
  'slack-token': () => [`xoxb-${digits(12)}-${digits(12)}-${an(24)}`],
  'slack-app-token': () => [`xapp-1-A${draw('upperAn', 10)}-${digits(13)}-${hex(64)}`],
  'slack-webhook': () => [
    `https://hooks.slack.com/services/T${draw('upperAn', 8)}/B${draw('upperAn', 10)}/${an(24)}`,
  ],
  'discord-webhook': () => [`https://discord.com/api/webhooks/${digits(18)}/${an(68)}`],
  'discord-bot-token': () => {
    const value = `M${an(23)}.${an(6)}.${an(38)}`
    return [[`DISCORD_TOKEN=${value}`, value]]
  },
  'telegram-bot-token': () => [`${1}${digits(9)}:AA${an(33)}`],
  'teams-webhook': () => [
    `https://shop.webhook.office.com/webhookb2/${uuid()}@${uuid()}/IncomingWebhook/${hex(32)}/${uuid()}`,
  ],
  'twilio-auth-token': () => {
    const value = hex(32)
    return [[`TWILIO_AUTH_TOKEN=${value}`, value]]
  },
  'twilio-api-key': () => [`SK${hex(32)}`],
  'sendgrid-api-key': () => [`SG.${an(22)}.${an(43)}`],
  'mailgun-api-key': () => {
    const value = `${hex(32)}-${hex(8)}-${hex(8)}`
    return [`key-${hex(32)}`, [`MAILGUN_API_KEY=${value}`, value]]
  },
  'mailchimp-api-key': () => [`${hex(32)}-us12`],
  'brevo-api-key': () => [`xkeysib-${hex(64)}-${an(16)}`],
  'resend-api-key': () => [`re_${an(8)}_${an(24)}`],
  'postmark-server-token': () => {
    const value = uuid()
    return [[`POSTMARK_SERVER_TOKEN=${value}`, value]]
  },
  'databricks-token': () => [`dapi${hex(32)}`],
  'neon-api-key': () => [`napi_${draw('lowerAn', 64)}`],
  'neon-role-password': () => [`npg_${an(14)}`],
  'supabase-token': () => [`sbp_${hex(40)}`, `sb_secret_${an(31)}`],
  'planetscale-token': () => [`pscale_tkn_${an(43)}`],
  'airtable-token': () => [`pat${an(14)}.${hex(64)}`],
  'prefect-api-key': () => [`pnu_${an(36)}`],
  'dbt-token': () => [`dbtc_${an(40)}`],
  'qdrant-api-key': () => {
    const value = `${uuid()}|${an(64)}`
    return [[`QDRANT_API_KEY=${value}`, value]]
  },
  'confluent-secret': () => [`cflt${an(60)}`],
  'aiven-token': () => [`AVNS_${an(19)}`],
  'algolia-admin-key': () => {
    const value = hex(32)
    return [[`ALGOLIA_ADMIN_KEY=${value}`, value]]
  },
  'vault-token': () => [`hvs.${an(90)}`, `hvb.${an(120)}`],
  'vault-legacy-token': () => {
    const value = `s.${an(24)}`
    return [[`VAULT_TOKEN=${value}`, value]]
  },
  'terraform-cloud-token': () => [`${an(14)}.atlasv1.${an(67)}`],
  'pulumi-token': () => [`pul-${hex(40)}`],
  'doppler-token': () => [`dp.pt.${an(43)}`, `dp.st.prd.${an(43)}`],
  'onepassword-token': () => [`ops_eyJ${an(400)}`],
  'infisical-token': () => [`st.${hex(24)}.${hex(32)}.${hex(32)}`],
  'datadog-key': () => {
    const value = hex(32)
    return [[`DD_API_KEY=${value}`, value]]
  },
  'datadog-token': () => [`ddpat_${an(40)}`],
  'newrelic-key': () => [`NRAK-${draw('upperAn', 27)}`],
  'sentry-token': () => [`sntrys_eyJ${an(120)}`, `sntryu_${hex(64)}`],
  'grafana-token': () => [`glsa_${an(32)}_${hex(8)}`, `glc_eyJ${an(100)}`],
  'pagerduty-token': () => {
    const value = `u+${an(18)}`
    return [[`PAGERDUTY_TOKEN=${value}`, value]]
  },
  'splunk-hec-token': () => {
    const value = uuid()
    return [
      [`Authorization: Splunk ${value}`, value],
      [`SPLUNK_HEC_TOKEN=${value}`, value],
    ]
  },
  'dynatrace-token': () => [`dt0c01.${draw('upperAn', 24)}.${draw('upperAn', 64)}`],
  'okta-token': () => {
    const value = `00${an(40)}`
    return [[`Authorization: SSWS ${value}`, value]]
  },
  'tailscale-key': () => [`tskey-auth-${an(16)}-${an(32)}`],
  'age-secret-key': () => [`AGE-SECRET-KEY-1${draw('bech32', 58)}`],
  'ngrok-token': () => [`ak_${an(27)}`],
  'linear-token': () => [`lin_api_${an(40)}`],
  'notion-token': () => [`ntn_${an(46)}`, `secret_${an(43)}`],
  'postman-api-key': () => [`PMAK-${hex(24)}-${hex(34)}`],
  'figma-token': () => [`figd_${an(40)}`],
  'mapbox-token': () => [`sk.eyJ${an(80)}.${an(22)}`],
  'hubspot-token': () => [`pat-na1-${uuid()}`],
  'contentful-token': () => [`CFPAT-${an(43)}`],
  'dropbox-token': () => [`sl.${an(140)}`],
  'typeform-token': () => [`tfp_${an(44)}`],
  'readme-api-key': () => [`rdme_${draw('lowerAn', 70)}`],
  'clojars-token': () => [`CLOJARS_${hex(60)}`],
  'launchdarkly-key': () => [`sdk-${uuid()}`],
  'asana-token': () => [`1/120${digits(13)}:${hex(32)}`],
  'facebook-token': () => [`EAAC${an(140)}`],
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
}

const engine = createEngine({ detectors, fingerprintKey: Buffer.alloc(32, 7) })
const ruleNames = [...new Set(detectors.map(({ rule }) => rule))]

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

test('DISC-2: at least forty providers are known', () => {
  assert.ok(new Set(detectors.map(({ provider }) => provider)).size >= 40)
})

test('DISC-2: a wrong checksum leaves only a hint', () => {
  const [finding] = engine.detect({
    bytes: Buffer.from(`ghp_${'Ab3dE6gH9j'.repeat(3)}000001`),
    file: 'a.txt',
  })
  assert.equal(finding?.confidence, 'low')
})

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

// Patterns run on stretches around keywords, so their cost is their own. These checks read the expressions.

/** Quantifiers of an expression, outside of classes, with how deep in quantified groups they stand. */
function quantifiersOf(source: string): { text: string; depth: number }[] {
  const bare = source
    .replace(/\\./g, 'e')
    .replace(/\[(?:[^\]])*\]/g, 'c')
    .replace(/\(\?(?:[:=!]|<[=!]|<\w+>)/g, '(')
  const all: { text: string; depth: number }[] = []
  const stack: number[] = []
  for (const { 0: token, index } of bare.matchAll(/[()]|\{\d+(?:,\d*)?\}|[*+?]/g)) {
    if (token === '(') stack.push(all.length)
    else if (token === ')') {
      const first = stack.pop() ?? 0
      const repeated = /^(?:\*|\+|\{\d+,)/.test(bare.slice(index + 1))
      if (repeated) for (const inner of all.slice(first)) inner.depth++
    } else all.push({ text: token, depth: 0 })
  }
  return all
}

test('DISC-2: no pattern holds an unbounded quantifier, and none repeats a repetition but by a few times', () => {
  const nested: string[] = []
  for (const { pattern, rule } of detectors) {
    for (const { text, depth } of quantifiersOf(pattern.source)) {
      assert.doesNotMatch(text, /^[*+]$|,\}/, `${rule}: ${pattern.source}`)
      if (depth > 0 && text !== '?' && /,/.test(text)) nested.push(rule)
    }
  }
  // Both repeat at most a dozen times what begins with its own letter or digit and ends with its own separator.
  assert.deepEqual([...new Set(nested)].sort(), ['azure-sas-token', 'slack-token'])
})

test('DISC-2: the check above sees a planted violation', () => {
  assert.deepEqual(
    quantifiersOf('(?:a+[b*]){2,5}').map(({ text, depth }) => `${text}${depth}`),
    ['+1', '{2,5}0'],
  )
})

test('DISC-2: every detector gets through 200 kB of its own keyword and of its broken beginnings', () => {
  const hostile = (detector: Detector, filler: string): Buffer => {
    const unit = detector.keywords.map((keyword) => keyword + filler).join('')
    return Buffer.from(unit.repeat(Math.ceil(200_000 / unit.length)).slice(0, 200_000))
  }
  for (const detector of detectors) {
    for (const filler of ['', 'a', '=', 'a1B2c3D4', '="', '\n', ' : ']) {
      const one = createEngine({ detectors: [detector], fingerprintKey: Buffer.alloc(32) })
      one.detect({ bytes: hostile(detector, filler), file: 'a.txt' })
    }
  }
})
