import assert from 'node:assert/strict'
import { test } from 'node:test'
import { modelSettings } from './settings.ts'

const good = { KEYWARD_PLANNER_URL: 'https://models.example/v1/', KEYWARD_PLANNER_MODEL: 'planner-1' }

test('WORK-1: no model is asked unless one is named, with its key in the vault', () => {
  assert.equal(modelSettings({}), undefined)
  assert.deepEqual(modelSettings({ ...good, KEYWARD_PLANNER_KEY: 'keyward://secret/planner#key' }), {
    url: 'https://models.example/v1',
    model: 'planner-1',
    key: { path: 'secret/planner', field: 'key' },
    timeoutMilliseconds: 60_000,
  })
  for (const host of ['127.0.0.1:11434', 'localhost:8000', '[::1]:1'])
    assert.ok(modelSettings({ ...good, KEYWARD_PLANNER_URL: `http://${host}/v1` }), host)
})

test('WORK-1: settings of a model that make no sense are refused in words, which do not repeat a key', () => {
  const refused: [Record<string, string>, RegExp][] = [
    [{ KEYWARD_PLANNER_MODEL: '' }, /KEYWARD_PLANNER_MODEL is missing/],
    [{ KEYWARD_PLANNER_URL: 'models.example' }, /begins with https/],
    [{ KEYWARD_PLANNER_URL: 'ftp://models.example' }, /begins with https/],
    [{ KEYWARD_PLANNER_URL: 'http://models.example/v1' }, /plain HTTP/],
    [{ KEYWARD_PLANNER_URL: 'http://127.example/v1' }, /plain HTTP/],
    [{ KEYWARD_PLANNER_URL: 'https://a:b@models.example/v1' }, /more than an address/],
    [{ KEYWARD_PLANNER_URL: 'https://models.example/v1?key=x' }, /more than an address/],
    [{ KEYWARD_PLANNER_TIMEOUT: '0' }, /KEYWARD_PLANNER_TIMEOUT/],
    [{ KEYWARD_PLANNER_TIMEOUT: 'long' }, /KEYWARD_PLANNER_TIMEOUT/],
    [{ KEYWARD_PLANNER_KEY: 'not-a-reference' }, /^(?!.*not-a-reference).*belongs into the vault/],
  ]
  for (const [more, detail] of refused)
    assert.throws(
      () => modelSettings({ ...good, ...more }),
      { code: 'request.invalid', detail },
      JSON.stringify(more),
    )
})
