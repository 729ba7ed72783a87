import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '../core/index.ts'
import { problemOf } from './problem.ts'

test('API-1: an expected failure says its code, its words and which request it was', () => {
  assert.deepEqual(problemOf(new AppError('finding.not_found', "there is no finding 'x'"), 'r1'), {
    type: 'urn:keyward:error:finding.not_found',
    title: 'There is no such finding',
    status: 404,
    code: 'finding.not_found',
    detail: "there is no finding 'x'",
    instance: 'urn:keyward:request:r1',
  })
})

test('OPS-4: an unexpected failure keeps its words to itself', () => {
  const problem = problemOf(new Error('password=hunter2'), 'r2')
  assert.equal(problem.code, 'server.internal')
  assert.equal(JSON.stringify(problem).includes('hunter2'), false)
})
