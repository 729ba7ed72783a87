import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDraws } from '../../test/support/draws.ts'
import type { RawFinding } from './finding.ts'
import { createScanner } from './index.ts'

const draws = createDraws('assignments')
const scanner = createScanner({ fingerprintKey: draws.bytes(32) })
const token = `${draws.hex(12)}Z9q`
const uuid = [4, 2, 2, 2, 6].map(draws.hex).join('-')
const password = `Tz${draws.hex(6)}!k`

async function findingsIn(file: string, text: string): Promise<RawFinding[]> {
  const findings: RawFinding[] = []
  for await (const event of scanner.text(file, text))
    if (event.kind === 'finding') findings.push(event.finding)
  return findings
}

const valuesIn = async (file: string, text: string): Promise<string[]> =>
  (await findingsIn(file, text)).map(({ value }) => value.reveal())

const written: [string, string, string][] = [
  ['.env', `API_SECRET=${token}\n`, token],
  ['.env', `export API_SECRET="${token}"\n`, token],
  ['.env.production', `DB_PASSWORD=${password}\n`, password],
  ['a.yaml', `db:\n  password: ${password}\n  pool: 5\n`, password],
  ['a.yaml', `db:\n  password: "${password}" # for the shop\n`, password],
  ['deploy.yml', `env:\n  - name: API_TOKEN\n    value: ${token}\n`, token],
  ['a.json', `{"db":{"password":"${password}"}}`, password],
  ['a.json', `{"name": "API_TOKEN", "value": "${token}"}`, token],
  ['a.toml', `api_key = "${token}"\n`, token],
  ['a.tfvars', `db_password = "${password}"\n`, password],
  ['a.ini', `[db]\npassword = ${password}\n`, password],
  ['a.properties', `spring.datasource.password=${password}\n`, password],
  ['a.xml', `<db><password>${password}</password></db>`, password],
  ['web.config', `<add key="ApiToken" value="${token}"/>`, token],
  ['Dockerfile', `FROM alpine\nENV API_TOKEN=${token}\n`, token],
  ['Dockerfile', `FROM alpine\nENV API_TOKEN ${token}\n`, token],
  ['run.sh', `mysql --password=${password} shop\n`, password],
  ['run.sh', `tool --token ${token} up\n`, token],
  ['a.ts', `const apiToken: string = '${token}'\n`, token],
  ['a.js', `const config = { clientSecret: "${token}" }\n`, token],
  ['a.py', `config["api_key"] = "${token}"\n`, token],
  ['a.py', `client = Client(api_key="${token}")\n`, token],
  ['a.go', `\tapiSecret := "${token}"\n`, token],
  ['a.php', `define('DB_PASSWORD', '${password}');\n`, password],
  ['a.php', `'password' => '${password}',\n`, password],
  ['A.java', `builder.setPassword("${password}");\n`, password],
  ['a.ipynb', `   "db = connect(password=\\"${password}\\")\\n",\n`, password],
  ['a.rs', `const API_TOKEN: &str = "${token}";\n`, token],
  ['a.sql', `create role shop with login password '${password}';\n`, password],
  ['a.rb', `config.secret_key_base = '${token}'\n`, token],
  ['.netrc', `machine db.internal login shop password ${password}\n`, password],
  ['.netrc', `machine db.internal\n  login shop\n  password ${password}\n`, password],
  ['a.py', `connect("dbname=shop user=shop password=${password}")\n`, password],
  ['notes.md', `The old one was\n\n    API_TOKEN=${token}\n`, token],
]

for (const [file, text, value] of written) {
  const shown = text.replaceAll(value, '<value>').trim().replaceAll('\n', '⏎')
  test(`DISC-2: a value assigned in ${file} is found: ${shown}`, async () => {
    assert.deepEqual(await valuesIn(file, text), [value])
  })

  test(`DISC-5: replacing [start, end) leaves the rest of ${file} as it was: ${shown}`, async () => {
    const [finding] = await findingsIn(file, text)
    const bytes = Buffer.from(text)
    const { start, end } = finding?.place ?? { start: 0, end: 0 }
    const replaced = Buffer.concat([
      bytes.subarray(0, start),
      Buffer.from('REFERENCE'),
      bytes.subarray(end),
    ]).toString()
    assert.equal(replaced, text.replace(value, 'REFERENCE'))
  })
}

/** How else a key is given a value. */
const moreWays: [string, string, string][] = [
  ['a.ts', `const dbPassword = process.env.DB_PASSWORD || '${password}'\n`, password],
  ['a.ts', `const apiToken = process.env['API_TOKEN'] ?? '${token}'\n`, token],
  ['a.py', `API_TOKEN = os.getenv('API_TOKEN') or '${token}'\n`, token],
  ['a.py', `API_TOKEN = os.environ.get("API_TOKEN", "${token}")\n`, token],
  ['run.sh', `DB_PASSWORD="\${DB_PASSWORD:-${password}}"\n`, password],
  ['A.java', `@Value("\${db.password:${password}}")\n`, password],
  ['a.cs', `var key = Convert("x"); apiSecret = Encoding.UTF8.bytes("${token}");\n`, token],
  ['a.ps1', `$DbPassword = ConvertTo-SecureString "${password}" -AsPlainText -Force\n`, password],
  ['a.plist', `<key>ApiToken</key>\n<string>${token}</string>\n`, token],
  ['a.xml', `<property name="db.password">${password}</property>\n`, password],
  ['a.xml', `<name>db.password</name>\n  <value>${password}</value>\n`, password],
  ['a.tf', `variable "db_password" {\n  type = string\n  default = "${password}"\n}\n`, password],
  ['a.tfstate', `"db_password": {\n "value": "${password}",\n "type": "string" }\n`, password],
  ['a.yaml', `password: >-\n    ${password}\nnext: 1\n`, password],
  ['a.js', `fetch(url, { headers: ["X-Api-Key: ${token}"] })\n`, token],
  ['a.go', `http.Get("https://api.internal/v1?api_key=${token}&page=2")\n`, token],
  ['Jenkinsfile', `sh 'tool --api-token=${token}'\n`, token],
  ['notes.md', `| db_password | \`${password}\` |\n`, password],
  ['notes.md', `**DB password**: x, **db_password**: ${password}\n`, password],
  ['a.rb', `ENV['API_TOKEN'] ||= '${token}'\n`, token],
  ['a.ts', `const apiKeys = ['${token}']\n`, token],
  ['.env', `DB_KENNWORT=${password}\n`, password],
  ['.env', `SHOP_API_KEY=${uuid}\n`, ''],
]
for (const [file, text, value] of moreWays) {
  const shown = (value === '' ? text : text.replaceAll(value, '<value>')).trim().replaceAll('\n', '⏎')
  test(`DISC-2: a value is read however it is given, in ${file}: ${value === '' ? 'a UUID' : shown}`, async () => {
    const values = await valuesIn(file, text)
    assert.equal(values.length, 1)
    assert.ok(value === '' || values[0] === value)
  })
}

test('DISC-2: a finding says why it is one, without its value', async () => {
  const [finding] = await findingsIn('docs/notes.md', `DB_PASSWORD=${password}\n`)
  const reasons = finding?.reasons?.join('\n') ?? ''
  assert.match(reasons, /`DB_PASSWORD` names a password/)
  assert.match(reasons, /looks like a password/)
  assert.match(reasons, /documentation/)
  assert.ok(!reasons.includes(password))
})

const harmless: [string, string][] = [
  ['.env', 'API_KEY=\n'],
  ['.env', `API_KEY=\${OTHER_KEY}\n`],
  ['.env', 'API_KEY=$OTHER_KEY\n'],
  ['.env', 'API_KEY=<your api key>\n'],
  ['.env', 'API_KEY=your-api-key-here\n'],
  ['.env', 'API_KEY=xxxxxxxxxxxxxxxxxxxxxxxx\n'],
  ['.env', 'API_KEY=************************\n'],
  ['.env', 'API_KEY=keyward://secret/shop#key\n'],
  ['.env', 'API_KEY=op://vault/shop/key\n'],
  ['.env', 'API_KEY=vault:secret/data/shop#key\n'],
  ['.env', 'DB_PASSWORD=changeme\n'],
  ['.env', 'DB_PASSWORD=password123\n'],
  ['.env', 'SECRET_KEY_BASE_FILE=/run/secrets/key_base_9f3a\n'],
  ['.env', 'STRIPE_PUBLIC_KEY=pk_live_9Qd8sJk2LmN4pRt6Vx8Zb0Cd\n'],
  ['a.yaml', `token: \${{ secrets.DEPLOY_TOKEN_7F3 }}\n`],
  ['a.yaml', 'password: !vault shop/db7Kq2\n'],
  ['a.yaml', 'password: {{ .Values.dbPassword9 }}\n'],
  ['a.yaml', 'passwordHash: $2b$12$R9h7cIPz0gi1URNNX3kh2OPST9PgBkqquzi1Ss7KIUgO2t0jWMUW6\n'],
  ['a.yaml', 'password: A long explanation of what a password is.\n'],
  ['a.yaml', 'secretName: shop-credentials-v2\n'],
  ['a.json', '{"integrity": "sha512-9Qd8sJk2LmN4pRt6Vx8Zb0CdEf=="}'],
  ['package-lock.json', '{"key": "x", "apiKey": "9Qd8sJk2LmN4pRt6Vx8Zb0CdEf12"}'], // keyward:ignore
  ['a.json', '{"nextPageToken": "CiAKGjBpNDd2Nmp2Zml2cXRwYjBpOXA"}'],
  ['a.json', '{"requestToken": "3f2504e0-4f89-41d3-9a0c-0305e82c3301"}'],
  ['a.ts', "const token = process.env['API_TOKEN_9f3']\n"],
  ['a.ts', 'const password = await readPassword(input1)\n'],
  ['a.ts', "const tokenType = 'Bearer9f3a8c2e1d'\n"],
  ['a.ts', "if (password === 'Tz81hf62hs!k') grant()\n"],
  ['a.ts', "t('password', 'Geben Sie Ihr Passwort ein')\n"],
  ['a.ts', "export const passwordField = 'user.passwordField'\n"],
  ['a.py', 'password = getpass.getpass("Password1: ")\n'],
  ['a.tf', 'password = var.db_password\n'],
  ['a.json', '{"Cloud::Gateway::ApiKey": "48205d4ffd7feba3"}'],
  ['a.json', '{"change-token": "48205d4ffd7feba3"}'],
  ['a.py', 'password = password.encode("latin1")\n'],
  ['a.py', 'passValue("string9f3")\n'],
  ['.env', 'DB_PASSWORD=mysecretpassword\n'],
  ['.env', 'API_TOKEN=test-token-1\n'],
  ['.env', 'SESSION_ID_TOKEN_TYPE=opaque9f3a\n'],
  ['.env', 'DB_PASSWORD=ssm:/prod/shop/db7\n'],
  ['.env', 'DB_PASSWORD=@Microsoft.KeyVault(SecretUri=https://a.vault.azure.net/secrets/b2)\n'],
  ['run.sh', `DB_PASSWORD="\${DB_PASSWORD:-\${OTHER_9f3a}}"\n`],
  ['a.yaml', 'password: /etc/shop/password9.txt\n'],
  ['a.yaml', 'passwordHash: pbkdf2:sha256:260000$9Qd8sJk2LmN4$0c3f9a\n'],
  ['a.yaml', 'existingSecret: shop-postgres-credentials-01\n'],
  ['a.yaml', 'tokenFile: tokens-v2.json\n'],
  ['a.json', '{"keyId": "9f3a8c2e1d9f3a8c2e1d9f3a8c2e1d77"}'],
  ['a.json', '{"siteKey": "9f3a8c2e1d9f3a8c2e1d9f3a8c2e1d77"}'],
  ['a.ts', "const message = 'the password=wrong1 was refused by the server'\n"],
  ['a.ts', "const passwordLabel = 'Passwort2'\n"],
  ['a.ts', "showPassword: 'toggle-icon-2x'\n"],
  ['a.go', 'token := r.Header.Get("X-Auth-Token2")\n'],
  ['a.xml', '<input type="password" name="password" id="password1" class="form-control">'],
  ['notes.md', '| `token` | string | The token that login2 returned |\n'],
  ['id_ed25519.pub', 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH9Qd8sJk2LmN4pRt6Vx8Zb0CdEf key\n'],
  [
    'a.pem',
    '-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA9Qd8sJk2LmN4pRt6Vx8Zb0CdEf\n-----END PUBLIC KEY-----\n',
  ],
  ['a.txt', 'AKIAIOSFODNN7EXAMPLE and wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n'],
  ['a.txt', 'postgres://user:password@localhost/db and https://user:pass@host.example/\n'],
  ['a.txt', `postgres://$USER:$PASSWORD@db/shop and redis://:\${REDIS_PASSWORD}@cache:6379\n`],
]

for (const [file, text] of harmless) {
  test(`DISC-2: not a finding in ${file}: ${text.trim().slice(0, 80)}`, async () => {
    assert.deepEqual(
      (await findingsIn(file, text)).map(({ rule }) => rule),
      [],
    )
  })
}

test('DISC-3: a line with keyward:ignore is passed over, its neighbours are not', async () => {
  const text = `API_SECRET=${token} # keyward:ignore\nDB_PASSWORD=${password}\n`
  assert.deepEqual(await valuesIn('run.sh', text), [password])
})

test('DISC-3: a fingerprint in the baseline is not reported', async () => {
  const [finding] = await findingsIn('.env', `API_SECRET=${token}\n`)
  const events: string[] = []
  const baseline = new Set([finding?.fingerprint ?? ''])
  for await (const event of scanner.text('.env', `API_SECRET=${token}\n`, { baseline }))
    events.push(event.kind)
  assert.deepEqual(events, ['progress'])
})

test('DISC-3: a fingerprint needs the key: another scanner gives another one', async () => {
  const other = createScanner({ fingerprintKey: draws.bytes(32) })
  const prints = new Set<string>()
  for (const each of [scanner, other]) {
    for await (const event of each.text('.env', `API_SECRET=${token}`)) {
      if (event.kind === 'finding') prints.add(event.finding.fingerprint)
    }
  }
  assert.equal(prints.size, 2)
  for (const print of prints) assert.match(print, /^kf1_[0-9a-f]{32}$/)
})

test('DISC-5: locate finds a value again after lines were added, and not after it changed', async () => {
  const text = `API_SECRET=${token}\n`
  const [finding] = await findingsIn('.env', text)
  const moved = scanner.locate(`# one more line\n${text}`, '.env', finding?.fingerprint ?? '')
  assert.deepEqual(
    moved.map(({ line, start }) => [line, start]),
    [[2, 16 + 'API_SECRET='.length]],
  )
  assert.deepEqual(scanner.locate(`API_SECRET=${token.slice(1)}a\n`, '.env', finding?.fingerprint ?? ''), [])
})

test('DISC-4: columns count UTF-16 units, offsets count bytes', async () => {
  const [finding] = await findingsIn('a.json', `{"ключ": 1, "password": "${password}"}`)
  assert.equal(finding?.place.column, 26)
  assert.equal(finding?.place.start, 29)
})

test('OPS-4: a finding prints without its value', async () => {
  const [finding] = await findingsIn('.env', `DB_PASSWORD=${password}\n`)
  assert.ok(!JSON.stringify(finding).includes(password))
  assert.equal(finding?.masked, '****')
})
