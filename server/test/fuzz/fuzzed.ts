import assert from 'node:assert/strict'
import type { Code } from '@keyward/contract'
import fc from 'fast-check'
import { AppError } from '../../src/core/index.ts'

/** Something that holds for every input. */
export type Fuzzed = {
  readonly name: string
  readonly property: fc.IProperty<unknown> | fc.IAsyncProperty<unknown>
}

/** Whatever is thrown is a refusal in our own words: no fault of the program, and nothing that hangs or overflows. */
export function refusesInWords(run: () => unknown, codes: readonly Code[]): void {
  try {
    run()
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    assert.ok(codes.includes(error.code), `${error.code}: ${error.detail}`)
  }
}

const edit = fc.record({
  at: fc.nat(400),
  cut: fc.integer({ min: 0, max: 5 }),
  put: fc.oneof(
    fc.string({ unit: 'binary', maxLength: 3 }),
    fc.constantFrom(
      '"',
      '{',
      '}',
      '[',
      ']',
      '\\',
      '<<',
      '*',
      '+',
      '\n',
      '\r\n',
      '\0',
      '/*',
      '${',
      '{{',
      '}}',
      ',',
      '=',
      '-1e999',
    ),
  ),
})

/** Texts that are nearly right. */
export const mutated = (seeds: readonly string[]): fc.Arbitrary<string> =>
  fc.tuple(fc.constantFrom(...seeds), fc.array(edit, { maxLength: 6 })).map(([seed, edits]) =>
    edits.reduce((text, { at, cut, put }) => {
      const place = text.length === 0 ? 0 : at % text.length
      return text.slice(0, place) + put + text.slice(place + cut)
    }, seed),
  )
