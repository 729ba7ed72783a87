import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDraws } from '../../../test/support/draws.ts'
import { createScanner } from '../scan.ts'

const draws = createDraws('columns')
const scanner = createScanner({ fingerprintKey: draws.bytes(32), threads: 'never' })
const [first, second] = [0, 1].map((at) => `Heidelbeer${1000 * (at + 1) + draws.below(999)}!k`)
const found = (file: string, text: string): string[] =>
  scanner.contents(Buffer.from(text), file).map(({ value, place }) => {
    assert.equal(Buffer.from(text).toString('utf8', place.start, place.end), value.reveal())
    return value.reveal()
  })

const both: [string, string][] = [
  ['a.csv', `name,password,role\nbob,${first},admin\neve,${second},user\n`],
  ['a.csv', `"name";"password"\r\n"bob";"${first}"\r\n"eve; jr";"${second}"\r\n`],
  ['a.tsv', `password\tname\n${first}\tbob\n${second}\teve\n`],
  ['a.md', `| user | Password |\n|------|:--|\n| bob | \`${first}\` |\n| eve | **${second}** |\n\ndone\n`],
  [
    'a.sql',
    `INSERT INTO \`users\` (id, name, password) VALUES (1, 'b''ob', '${first}'), (2, 'eve', '${second}');\n`,
  ],
  [
    'a.sql',
    `insert into u(pwd)values('${first}');\ninsert into v (a, password) values (now(), '${second}');\n`,
  ],
  ['.pgpass', `# all\ndb.internal:5432:shop:app:${first}\n*:*:*:o\\:p:${second}\n`],
  ['etc/ppp/chap-secrets', `# client server secret\n"bob" * "${first}" *\neve\t*\t${second}\n`],
  ['.msmtprc', `account a\nuser bob\npassword ${first}\naccount b\npassword "${second}"\n`],
  [
    'secret.yaml',
    `kind: Secret\nstringData:\n  db: ${first}\n  username: bob77\n  mq: "${second}"\nother: 1\n`,
  ],
]
for (const [file, text] of both) {
  const shown = text
    .replace(first ?? '', '…')
    .replace(second ?? '', '…')
    .trim()
    .replaceAll('\n', '⏎')
  test(`DISC-2: a value is named by its column or its place in ${file}: ${shown}`, () =>
    assert.deepEqual(found(file, text), [first, second]))
}

test('DISC-2: a file that holds one word is named for it', () => {
  const token = draws.hex(16)
  for (const file of ['secrets/db_password.txt', '.vault_pass', 'POSTGRES_PASSWORD'])
    assert.deepEqual(found(file, `${first}\n`), [first], file)
  for (const file of ['config/master.key', 'api-token', 'run/secrets/api_key.txt'])
    assert.deepEqual(found(file, token), [token], file)
  for (const file of ['README', 'version.txt', 'token-count.txt', 'a.sha256'])
    assert.deepEqual(found(file, `${token}\n`), [], file)
  assert.deepEqual(found('passwords.txt', `${first}\nand more\n`), [])
})

test('DISC-2: hashes, ids and texts in columns are no secrets', () => {
  for (const [file, text] of [
    ['a.csv', `name,password\nbob,${draws.hex(16)}\neve,$2b$12$${draws.text(53)}\n`],
    ['a.csv', `name,token_id\nbob,${draws.hex(16)}\n`],
    ['a.sql', `INSERT INTO users (name, password) VALUES ('bob', '${draws.hex(20)}');\n`],
    ['a.sql', "INSERT INTO texts (key, password) VALUES (1, concat(a, b)), (2, 'password');\n"],
    ['a.md', '| option | password |\n|---|---|\n| --password | the password of the user |\n'],
    ['.pgpass', '# host:port:db:user:password\nlocalhost:5432:a:b\n'],
  ] as const)
    assert.deepEqual(found(file, text), [], text)
})

test('DISC-2: a table made to harm is gone through, and holds nothing', () => {
  for (const [file, unit] of [
    ['a.csv', 'password,'],
    ['a.csv', 'password\n"'],
    ['a.md', '| password |\n|---|\n'],
    ['a.sql', 'insert into a (password) values ('],
    ['a.sql', "insert into a (password) values ('"],
    ['a.yaml', 'stringData:\n  a: b\n'],
  ] as const)
    assert.ok(found(file, unit.repeat(200_000 / unit.length)).length < 10)
})
