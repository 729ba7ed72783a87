import { AppError, Secret } from '../../../core/index.ts'
import type { Answer, Body, Call } from '../../engine.ts'
import { isObject, textField } from '../../fields.ts'
import { integerField, invalid } from './inputs.ts'

export type Result = Readonly<Record<string, unknown>>

type Options = {
  /** Beside the reason, in the result of an item that failed. */
  readonly onFailure?: Result
  /** One bad item makes the status 400; without it the status stays 200 and only the item tells. */
  readonly strict?: boolean
}

/** One input in the body itself, or many in `batch_input`; an item that is refused does not keep the others from being done. */
export function forEachItem(call: Call, handle: (item: Body) => Result, options: Options = {}): Answer {
  const items = batchOf(call.body)
  if (!items) return { dataText: textOf(handle(call.body)) }
  let failed = 0
  const results = items.map((item) => {
    const reference = textField(item, 'reference') ?? ''
    try {
      return { ...handle(item), reference }
    } catch (error) {
      if (!(error instanceof AppError) || error.status >= 500) throw error
      failed++
      return { ...options.onFailure, error: error.detail ?? error.message, reference }
    }
  })
  const note = { items: items.length, ...(failed > 0 ? { failed } : {}) }
  const answer = { dataText: textOf({ batch_results: results }), note }
  return options.strict && failed > 0
    ? { ...answer, status: statusOf(call, failed === items.length) }
    : answer
}

/** The items of a batch; undefined when the body is the only one. */
export function batchOf(body: Body): readonly Body[] | undefined {
  const items = body['batch_input']
  if (items === undefined || items === null) return undefined
  if (!Array.isArray(items)) throw invalid('failed to parse batch input: it must be an array')
  if (items.length === 0) throw invalid('missing batch input to process')
  return items.map((item: unknown, at) => {
    if (isObject(item)) return item
    throw invalid(`failed to parse batch input: [${at}] must be an object`)
  })
}

/** The status of a batch in which something failed. What the caller prefers counts only when something succeeded. */
function statusOf(call: Call, nothingSucceeded: boolean): number {
  const wanted = integerField(call.body, 'partial_failure_response_code') ?? 0
  if (wanted !== 0 && (wanted < 200 || wanted > 599))
    throw invalid('partial_failure_response_code must be an HTTP status between 200 and 599')
  return wanted === 0 || nothingSucceeded ? 400 : wanted
}

export const textOf = (data: Result): Secret => new Secret(JSON.stringify(data))
