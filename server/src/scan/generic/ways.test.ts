// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are texts of other languages
// How languages and tools give a key its value, beyond the plain assignment.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDraws } from '../../../test/support/draws.ts'
import { createScanner } from '../scan.ts'

const draws = createDraws('ways')
const scanner = createScanner({ fingerprintKey: draws.bytes(32), threads: 'never' })
const password = `Heidelbeer${1000 + draws.below(9000)}!k`
const token = `${draws.hex(12)}Z9q`
const found = (file: string, text: string): string[] =>
  scanner.contents(Buffer.from(text), file).map(({ value }) => value.reveal())

const written: [string, string, string][] = [
  ['a.h', `#define WIFI_PASSWORD "${password}"\n`, password],
  ['a.c', `static const char pass[] = "${password}";\n`, password],
  ['a.cpp', `std::string apiToken{"${token}"};\n`, token],
  ['build.gradle', `    storePassword "${password}"\n`, password],
  ['a.clj', `{:password "${password}"}\n`, password],
  ['a.clj', `(def api-token "${token}")\n`, token],
  ['a.erl', `  {password, "${password}"},\n`, password],
  ['a.erl', `  {default_pass, <<"${password}">>},\n`, password],
  ['a.ps1', `New-Login -Password "${password}"\n`, password],
  ['a.go', `var signingKey = []byte("${token}")\n`, token],
  ['a.cs', `var apiSecret = Encoding.UTF8.GetBytes("${token}");\n`, token],
  ['a.py', `parser.add_argument("--password", default="${password}")\n`, password],
  ['a.py', `SECRET_KEY = config('SECRET_KEY', default='${token}')\n`, token],
  ['spec/a_spec.rb', `let(:password) { '${password}' }\n`, password],
  ['spec/a_spec.rb', `fill_in 'Password', with: '${password}'\n`, password],
  ['e2e/a.ts', `await page.fill('#password', '${password}')\n`, password],
  ['e2e/a.ts', `cy.get('#password').type('${password}')\n`, password],
  ['a.json', `[{"key":"api_token","value":"${token}","type":"string"}]`, token],
  ['a.json', `[{"name":"API_TOKEN","type":"SecureString","value":"${token}"}]`, token],
  ['a.xml', `<Password kind="plain">${password}</Password>\n`, password],
  ['nginx.conf', `proxy_set_header X-Api-Key ${token};\n`, token],
  ['calls.http', `X-Api-Key: ${token}\n`, token],
  ['calls.http', `@token = ${token}\n`, token],
  ['wpa.conf', `  psk="${password}"\n`, password],
  ['.env', `DEPLOY_PAT=${token}\nDB_PW=x\n`, token],
  ['a.php', `$config['auth_salt'] = '${token}';\n`, token],
  ['a.cs', `const string PassPhrase = "${password}";\n`, password],
  ['notes.md', `API key: ${token}\n`, token],
  ['chat.txt', `bob: the password for the staging db is ${password}.\n`, password],
  ['chat.txt', `pw = ${password}\n`, password],
  ['notes.md', `Sign in as \`bob\` with the password \`${password}\`.\n`, password],
  ['A.java', `users.withUser("bob").password("{noop}${password}");\n`, `{noop}${password}`],
]
for (const [file, text, value] of written) {
  test(`DISC-2: a key is given its value in ${file}: ${text.replace(value, '…').trim()}`, () => {
    assert.deepEqual(found(file, text), [value])
  })
}

test('DISC-2: a key that a framework drew from all signs of a keyboard is found, with its brackets and blanks', () => {
  const letters = 'abcdefghijklmnopqrstuvwxyz0123456789!@#$%^&*(-_=+)'
  const all = `${letters}ABCDEFGHIJKLMNOPQRSTUVWXYZ {}[]<>~;:,./?|`
  const missed = Array.from({ length: 500 }, (_, at) => draws.text(at % 2 ? 50 : 64, at % 2 ? letters : all))
    .map((value) => value.trim())
    .filter((value) => found('settings.py', `SECRET_KEY = '${value}'\n`)[0] !== value)
  assert.ok(missed.length <= 10, `${missed.length} of 500: ${missed.slice(0, 5).join('   ')}`)
})

const harmless: [string, string][] = [
  ['test.log', 'PASS: ld-elf/discard2\nFAIL: ld-elf/group3a\nPASS: tlspie3a\n'],
  ['notes.md', 'Pass `-Dfeature=no2` to avoid installing it.\n'],
  ['a.go', '"encryptionKey": "encryptionKey1024",\n'],
  ['a.py', 'should_pass("import os; p = os.add(os.getcwd2())")\n'],
  ['notes.md', 'The password is required, and the token is not.\n'],
  ['notes.md', 'The password for the account is stored in step 2 of the vault.\n'],
  ['a.css', 'input.password { content: "a1b2c3d4e5" }\n'],
  ['a.sh', 'gpg --recv-keys 5BE8A3F6C8A5C01D106C0AD820B1A390B168D356\n'],
  ['a.ts', "const passwordPattern = '^(?=.*[A-Z])(?=.*\\d)[A-Za-z\\d@$!%*?&]{8,}$'\n"],
  ['a.json', '{"salt": "a1b2c3d4e5f60718293a4b5c", "hash": "x"}\n'],
  ['a.html', '<password-input kind="a">Grashalm77</password-input>\n'],
  ['a.gradle', 'storePassword System.getenv("STORE_PASSWORD9")\n'],
  ['a.c', '#define PASSWORD_MAX_LENGTH "64characters"\n'],
]
for (const [file, text] of harmless) {
  test(`DISC-2: nothing is given to a key in ${file}: ${JSON.stringify(text)}`, () =>
    assert.deepEqual(found(file, text), []))
}
