import { randomInt } from 'node:crypto'
import { alphabets, type Part, partsOf } from './form.ts'

/** A made-up credential of a form, new at each call. */
export function exampleOf(form: string, below: (limit: number) => number = randomInt): string {
  return partsOf(form)
    .map((part) => made(part, below))
    .join('')
}

function made(part: Part, below: (limit: number) => number): string {
  if (part.kind === 'text') return part.text
  if (part.kind === 'choice') return part.of[below(part.of.length)] ?? ''
  const { letters } = alphabets[part.alphabet]
  const length = part.least + below(part.most - part.least + 1)
  return Array.from({ length }, () => letters.charAt(below(letters.length))).join('')
}
