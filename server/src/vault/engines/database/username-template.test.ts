import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseNameTemplate } from './username-template.ts'

const parts = {
  displayName: 'token-with-display-name',
  roleName: 'my_custom_database_role',
  now: new Date('2009-02-13T23:31:30.000Z'),
}
/** The template with something unique at its end, which is taken off again. */
function render(template: string, given: Partial<typeof parts> = {}): string {
  return parseNameTemplate(`${template}+{{random 4}}`)({ ...parts, ...given }).slice(0, -5)
}
const refusal = (template: string): string => {
  try {
    parseNameTemplate(template)({ ...parts })
  } catch (error) {
    assert.ok(error instanceof Error && 'detail' in error)
    return String(error.detail)
  }
  return ''
}

test('VAULT-3: names are made as the documentation of templates shows', () => {
  const default_ =
    '{{ printf "v-%s-%s-%s-%s" (.DisplayName | truncate 8) (.RoleName | truncate 8) (random 20) (unix_time) | truncate 63 }}'
  assert.match(parseNameTemplate(default_)(parts), /^v-token-wi-my_custo-[A-Za-z0-9]{20}-1234567890$/)
  assert.equal(render('{{.DisplayName}}_{{.RoleName}}'), 'token-with-display-name_my_custom_database_role')
  assert.equal(
    render('F_{{.DisplayName | replace "-" "_" | uppercase}}_{{timestamp "2006_01_02T15_04_05Z"}}'),
    'F_TOKEN_WITH_DISPLAY_NAME_2009_02_13T23_31_30Z',
  )
  assert.equal(
    render('{{ .RoleName | truncate_sha256 20 }}', { roleName: 'abcdefghijklmnopqrstuvwxyz' }),
    'abcdefghijkl872808ff',
  )
  assert.equal(render('{{.DisplayName | replace - _ | truncate 5}}'), 'token')
  assert.equal(render('{{unix_time_millis}}'), '1234567890000')
  assert.equal(render('{{ "A" | lowercase }}{{- `b` -}}  {{printf "%d%%" 5 | replace "%" ""}}'), 'ab5')
  assert.equal(
    render('{{ (.RoleName | sha256) | truncate 8 }}'),
    render('{{ .RoleName | sha256 | truncate 8 }}'),
  )
  assert.equal(render('{{ "YQ==" | decode_base64 }}{{ "a" | hex }}{{ "61" | decode_hex }}'), 'a61a')
  assert.equal(render('{{ timestamp "Jan 2 3PM Mon" }}'), 'Feb 13 11PM Fri')
  assert.match(parseNameTemplate('{{uuid}}')(parts), /^[0-9a-f-]{36}$/)
})

test('VAULT-3: whatever callers are called, a name ends no quotes and begins no comment', () => {
  const template = '{{.DisplayName}}{{random 4}}'
  for (const displayName of [`x"; drop role y; --`, `a'b\\c`, '/* */', 'a--b', '\u0000\n', '"'])
    assert.match(parseNameTemplate(template)({ ...parts, displayName }), /^(?!.*--)[\w.@-]+$/)
  assert.match(parseNameTemplate('{{.DisplayName}}--{{random 4}}')(parts), /name-\w{4}$/)
  assert.equal(render('{{.DisplayName}}', { displayName: 'ärger' }), 'ärger')
})

test('VAULT-3: a template that makes a name twice, too long, of odd characters or of unknown words is refused', () => {
  assert.match(refusal('{{.RoleName}}'), /same name twice/)
  assert.match(refusal('{{.RoleName}}-{{unix_time}}'), /same name twice/)
  assert.match(refusal('{{ printf "%s-%s" .RoleName (random 20) | truncate 4 }}'), /same name twice/)
  assert.match(refusal('{{random 64}}'), /at most 63 bytes/)
  assert.match(refusal('"{{random 20}}'), /a name has letters/)
  assert.match(refusal('{{if .RoleName}}x{{end}}{{random 20}}'), /"if" is not known here/)
  assert.match(refusal('{{.Password}}{{random 20}}'), /\.Password is not known/)
  assert.match(refusal('{{constructor}}{{random 20}}'), /"constructor" is not known/)
  assert.match(refusal('{{random 20'), /\{\{ without \}\}/)
  assert.match(refusal('{{random}}'), /positive number/)
  assert.match(refusal('{{random 1000}}'), /positive number/)
  assert.match(refusal('{{printf "%q" (random 20)}}'), /printf knows/)
  assert.match(refusal('{{(random 20}}'), /\( without \)/)
  assert.match(refusal('{{random 20 | .RoleName}}'), /no function/)
  assert.match(refusal('{{}}{{random 20}}'), /empty action/)
})
